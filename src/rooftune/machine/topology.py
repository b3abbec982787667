"""The processor of this computer: what it is called, what it can do, its caches, and the cores that may be used."""

from __future__ import annotations

import math
import os
import platform
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from rooftune.machine.cgroup import parse_cpu_list, read_limits, read_text
from rooftune.machine.spec import Level
from rooftune.quantities import Unknown

__all__ = ["Cache", "CoreType", "Node", "Topology", "cache_levels", "read_topology", "usable_threads"]

# fmt: off
_X86_FEATURES = (
    "sse2", "ssse3", "sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx_vnni_int8", "avx_ne_convert",
    "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_bf16", "amx_int8", "amx_fp16",
)
_ARM_FEATURES = (
    "fp", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16",
    "sve", "sve2", "svei8mm", "svebf16", "sme", "sme2",
)
# fmt: on
# positions in AT_HWCAP and AT_HWCAP2 (Linux, arch/arm64/include/uapi/asm/hwcap.h)
_HWCAP = {"fp": 0, "asimd": 1, "fphp": 9, "asimdhp": 10, "asimddp": 20, "sve": 22}
_HWCAP2 = {"sve2": 1, "svei8mm": 9, "svebf16": 12, "i8mm": 13, "bf16": 14, "sme": 23, "sme2": 37}
_ARM_MACHINES = ("aarch64", "arm64")


@dataclass(frozen=True)
class Cache:
    """One cache and the cores that share it; instruction caches are left out."""

    level: int
    kind: str  # data or unified
    size_bytes: int
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One NUMA node. Its memory is None where the system does not say."""

    id: int
    cpus: tuple[int, ...]
    memory_bytes: int | None = None


@dataclass(frozen=True)
class CoreType:
    """Cores of one design, by the numbers the processor gives itself.

    x86 has `family` and `model`, ARM has `implementer` and `part`; what does not apply is None.
    `role` is `performance` or `efficiency` on Intel's hybrid processors, else empty.
    """

    cpus: tuple[int, ...]
    family: int | None = None
    model: int | None = None
    implementer: int | None = None
    part: int | None = None
    role: str = ""


@dataclass(frozen=True)
class Topology:
    """What is known about the processor and about the share of it that this process may use.

    architecture  `x86_64`, `aarch64`, ...
    vendor, name  as the processor gives them; empty where the system does not say
    core_types    one entry per core design, the type of the first usable core first
    isa           instruction set features in the kernel's spelling
    caches        data and unified caches, each once
    cores         logical cores this process may run on: affinity and cpuset together
    online        logical cores that are switched on
    siblings      logical cores grouped by physical core (SMT)
    nodes         NUMA nodes
    quota_cpus    CPU-seconds per second a control group allows; None = no quota. It does not say where they are spent
    memory_bytes  of the computer; `memory_limit_bytes` is what a control group allows, None = all
    """

    architecture: str
    vendor: str
    name: str
    core_types: tuple[CoreType, ...]
    isa: tuple[str, ...]
    caches: tuple[Cache, ...]
    cores: tuple[int, ...]
    online: tuple[int, ...]
    siblings: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]
    quota_cpus: float | None
    memory_bytes: int | Unknown
    memory_limit_bytes: int | None = None

    @property
    def physical_cores(self) -> tuple[int, ...]:
        """One usable logical core of each physical core, so that no two of them share arithmetic units."""
        usable = set(self.cores)
        firsts = (next((c for c in group if c in usable), None) for group in self.siblings)
        return tuple(sorted(c for c in firsts if c is not None)) or self.cores

    @property
    def usable_memory_bytes(self) -> int | None:
        """What this process may take at most; None where nobody says."""
        known = [b for b in (self.memory_bytes, self.memory_limit_bytes) if isinstance(b, int)]
        return min(known) if known else None


def read_topology(root: Path = Path("/")) -> Topology:
    """Look at this computer, or at a recorded `/proc` and `/sys` below `root`.

    Nothing here fails: what cannot be read is empty, None or `Unknown`.
    Without `/proc/cpuinfo` (macOS, Windows) the numbers come from the standard library and psutil.
    """
    if not (root / "proc/cpuinfo").exists():
        return _portable_topology()
    processors = _processors(read_text(root / "proc/cpuinfo") or "")
    first = next(iter(processors.values()), {})
    architecture = _architecture(root, first)
    limits = read_limits(root)
    cpus = root / "sys/devices/system/cpu"
    online = parse_cpu_list(read_text(cpus / "online")) or tuple(sorted(processors))
    allowed = _affinity(root) or frozenset(online)
    if limits.cpus is not None and allowed & limits.cpus:
        allowed &= limits.cpus
    # some sandboxes number the cores of /proc and of the affinity mask differently: believe the mask
    cores = tuple(sorted(allowed & set(online))) or tuple(sorted(allowed)) or (0,)
    return Topology(
        architecture=architecture,
        vendor=first.get("vendor_id", ""),
        name=first.get("model name", "") or read_text(root / "proc/device-tree/model") or "",
        core_types=_core_types(root, processors, cores),
        isa=_isa(root, architecture, first),
        caches=_caches(cpus, online),
        cores=cores,
        online=online,
        siblings=_siblings(cpus, online),
        nodes=_nodes(root, online),
        quota_cpus=limits.quota_cpus,
        memory_bytes=_meminfo(read_text(root / "proc/meminfo")) or Unknown("/proc/meminfo does not say"),
        memory_limit_bytes=limits.memory_bytes,
    )


def usable_threads(topology: Topology) -> int:
    """Threads that can make progress at once: the usable cores, bounded by the quota rounded up, at least 1."""
    cores = max(1, len(topology.cores))
    return cores if topology.quota_cpus is None else max(1, min(cores, math.ceil(topology.quota_cpus)))


def cache_levels(topology: Topology) -> tuple[Level, ...]:
    """Cache levels of the usable cores, fastest first and without bandwidths, ending with DRAM.

    A level is shared where one cache serves several physical cores; its size is then the sum of the caches
    that usable cores reach. Otherwise the size is that of the smallest copy, so that no core overflows it.
    """
    usable = set(topology.cores)
    core_of = {cpu: group[0] for group in topology.siblings for cpu in group}
    levels = []
    for level in sorted({cache.level for cache in topology.caches}):
        reached = [c for c in topology.caches if c.level == level and usable & set(c.cpus)]
        if not reached:
            continue
        shared = any(len({core_of.get(cpu, cpu) for cpu in cache.cpus}) > 1 for cache in reached)
        sizes = [cache.size_bytes for cache in reached]
        levels.append(Level(f"L{level}", sum(sizes) if shared else min(sizes), (), shared))
    memory = topology.memory_bytes
    return (*levels, Level("DRAM", None if isinstance(memory, Unknown) else memory))


def _processors(cpuinfo: str) -> dict[int, dict[str, str]]:
    """Fields of each logical core in `/proc/cpuinfo`; lines before the first `processor` belong to no core."""
    found: dict[int, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if colon and key == "processor" and value.isdecimal():
            current = found.setdefault(int(value), {})
        elif colon and key:
            current.setdefault(key, value)
    return found


def _architecture(root: Path, first: dict[str, str]) -> str:
    if root == Path("/"):
        machine = platform.machine().lower()
        return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    return "x86_64" if "vendor_id" in first else "aarch64" if "CPU implementer" in first else ""


def _affinity(root: Path) -> frozenset[int]:
    if root == Path("/") and hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    status = read_text(root / "proc/self/status") or ""
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    return frozenset(parse_cpu_list(found.group(1))) if found else frozenset()


def _core_types(root: Path, processors: dict[int, dict[str, str]], cores: tuple[int, ...]) -> tuple[CoreType, ...]:
    efficient = set(parse_cpu_list(read_text(root / "sys/devices/cpu_atom/cpus")))
    performance = set(parse_cpu_list(read_text(root / "sys/devices/cpu_core/cpus")))
    grouped: dict[tuple[int | None, int | None, int | None, int | None, str], list[int]] = {}
    order = sorted(processors, key=lambda cpu: (cpu not in cores, cpu))
    for cpu in order:
        fields = processors[cpu]
        role = "performance" if cpu in performance else "efficiency" if cpu in efficient else ""
        names = ("cpu family", "model", "CPU implementer", "CPU part")
        family, model, implementer, part = (_number(fields.get(name)) for name in names)
        grouped.setdefault((family, model, implementer, part, role), []).append(cpu)
    return tuple(CoreType(tuple(sorted(members)), *numbers) for numbers, members in grouped.items())


def _number(text: str | None) -> int | None:
    try:
        return int(text, 0) if text else None
    except ValueError:
        return None


def _isa(root: Path, architecture: str, first: dict[str, str]) -> tuple[str, ...]:
    if architecture in _ARM_MACHINES:
        present = set(first.get("Features", "").split()) or _hwcap(root)
        return tuple(name for name in _ARM_FEATURES if name in present)
    present = set(first.get("flags", "").split())
    return tuple(name for name in _X86_FEATURES if name in present)


def _hwcap(root: Path) -> set[str]:
    """ARM features from the auxiliary vector, for kernels whose `/proc/cpuinfo` hides them."""
    try:
        data = (root / "proc/self/auxv").read_bytes()[: 1 << 12]
    except OSError:
        return set()
    entries = dict(struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]))
    first, second = entries.get(16, 0), entries.get(26, 0)
    return {n for n, bit in _HWCAP.items() if first >> bit & 1} | {n for n, bit in _HWCAP2.items() if second >> bit & 1}


def _caches(cpus: Path, online: tuple[int, ...]) -> tuple[Cache, ...]:
    found: dict[tuple[int, str, tuple[int, ...]], Cache] = {}
    for cpu in online:
        for index in sorted((cpus / f"cpu{cpu}/cache").glob("index[0-9]*")):
            level, kind = _number(read_text(index / "level")), (read_text(index / "type") or "").lower()
            size = _size(read_text(index / "size"))
            if level is None or size is None or kind not in ("data", "unified"):
                continue
            sharing = parse_cpu_list(read_text(index / "shared_cpu_list")) or (cpu,)
            found.setdefault((level, kind, sharing), Cache(level, kind, size, sharing))
    return tuple(sorted(found.values(), key=lambda cache: (cache.level, cache.cpus)))


def _size(text: str | None) -> int | None:
    found = re.fullmatch(r"(\d{1,12})([KMG]?)", text or "")
    if not found or int(found.group(1)) == 0:
        return None
    return int(found.group(1)) << {"": 0, "K": 10, "M": 20, "G": 30}[found.group(2)]


def _siblings(cpus: Path, online: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    groups: set[tuple[int, ...]] = set()
    for cpu in online:
        topology = cpus / f"cpu{cpu}/topology"
        text = read_text(topology / "core_cpus_list") or read_text(topology / "thread_siblings_list")
        groups.add(parse_cpu_list(text) or (cpu,))
    return tuple(sorted(groups))


def _nodes(root: Path, online: tuple[int, ...]) -> tuple[Node, ...]:
    nodes = []
    for folder in (root / "sys/devices/system/node").glob("node[0-9]*"):
        number = _number(folder.name.removeprefix("node"))
        if number is not None:
            cpus = parse_cpu_list(read_text(folder / "cpulist"))
            nodes.append(Node(number, cpus, _meminfo(read_text(folder / "meminfo"))))
    return tuple(sorted(nodes, key=lambda node: node.id)) or (Node(0, online),)


def _meminfo(text: str | None) -> int | None:
    found = re.search(r"MemTotal:\s*(\d+) kB", text or "")
    return int(found.group(1)) * 1024 if found else None


def _portable_topology() -> Topology:
    import psutil

    online = tuple(range(os.cpu_count() or 1))
    physical = psutil.cpu_count(logical=False) or len(online)
    per_core = max(1, len(online) // physical)
    siblings = tuple(online[i : i + per_core] for i in range(0, len(online), per_core))
    machine = platform.machine().lower()
    return Topology(
        architecture={"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine),
        vendor="",
        name=platform.processor(),
        core_types=(CoreType(online),),
        isa=(),
        caches=(),
        cores=online,
        online=online,
        siblings=siblings,
        nodes=(Node(0, online),),
        quota_cpus=None,
        memory_bytes=int(psutil.virtual_memory().total),
    )
