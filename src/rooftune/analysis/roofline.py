"""The roof over a kernel: the least time its arithmetic and its traffic need on a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rooftune.analysis.groups import Kernel
from rooftune.analysis.traffic import Access, reuse_distances
from rooftune.machine.spec import Machine, format_of
from rooftune.ops import Work
from rooftune.quantities import DType, Maybe, Unknown

__all__ = ["Roof", "kernel_format", "kernel_roofs"]

_NUMBER = (int, float)


@dataclass(frozen=True)
class Roof:
    """Lower bound of one kernel.

    seconds           max(compute_seconds, memory_seconds)
    level             the memory level that sets `memory_seconds`
    dram_bytes        bytes that come from or go to DRAM on this machine
    """

    seconds: float
    compute_seconds: float
    memory_seconds: float
    level: str
    dram_bytes: float
    format: str

    @property
    def bound(self) -> str:
        return "compute" if self.compute_seconds >= self.memory_seconds else "memory"


def kernel_roofs(
    kernels: Sequence[Kernel],
    accesses: Sequence[Sequence[Access]],
    machine: Machine,
    threads: int,
    number_format: str | None = None,
) -> list[Roof | Unknown]:
    """Roof of every kernel on `threads` threads of `machine`.

    Compute: executed FLOPs / peak of the kernel's number format. Executed FLOPs leave out the taps on padding.
    Memory: each tensor comes from the nearest level that holds everything touched since its last use; all bytes
    from a level or from behind it pass through it, so the bound is the largest of bytes / bandwidth over the levels.
    """
    sizes = [[a.bytes if number_format is None else _bytes(a, number_format) for a in row] for row in accesses]
    known = [
        [(a.key, int(s) if isinstance(s, _NUMBER) else 0) for a, s in zip(row, srow)]
        for row, srow in zip(accesses, sizes)
    ]
    distances = reuse_distances(known)
    reach = _farthest_use(known, accesses, distances)
    levels = machine.level_sizes(threads)
    ceilings = _Ceilings(machine, threads, [name for name, _ in levels])
    roofs: list[Roof | Unknown] = []
    for kernel, row, size_row, distance_row in zip(kernels, accesses, sizes, distances, strict=True):
        where: dict[str, float] = {name: 0.0 for name, _ in levels}
        missing: Unknown | None = None
        for access, size, distance in zip(row, size_row, distance_row):
            if isinstance(size, Unknown):
                missing = size
                continue
            if not isinstance(size, _NUMBER):
                name, kind = access.tensor.name, access.tensor.type
                missing = Unknown(f"{name} has open dimensions ({kind}); bind them with --shape or --batch")
                continue
            used = max(distance, reach.get(access.key, 0)) if access.role == "output" else distance
            where[_level_for(used, levels)] += size
        roofs.append(missing or _roof(kernel, where, ceilings, number_format))
    return roofs


def _farthest_use(
    known: Sequence[Sequence[tuple[str, int]]], accesses: Sequence[Sequence[Access]], distances: Sequence[Sequence[int]]
) -> dict[str, int]:
    """Per tensor, the largest distance at which it is read again: a store has to reach that far."""
    reach: dict[str, int] = {}
    for row, accesses_row, distance_row in zip(known, accesses, distances):
        for (key, _), access, distance in zip(row, accesses_row, distance_row):
            if access.role != "output":
                reach[key] = max(reach.get(key, 0), distance)
    return reach


def _level_for(distance: float, levels: Sequence[tuple[str, float]]) -> str:
    for name, capacity in levels:
        if distance <= capacity:
            return name
    raise ValueError("the last level holds everything")


class _Ceilings:
    """The ceilings of a machine for one number of threads, each looked up once."""

    def __init__(self, machine: Machine, threads: int, levels: Sequence[str]) -> None:
        self.machine, self.threads = machine, threads
        self.from_memory = [(name, machine.bandwidth(name, threads)) for name in reversed(levels)]
        self._peaks: dict[str, float | Unknown] = {}

    def peak(self, number_format: str) -> float | Unknown:
        """FLOP/s of a number format, or of fp32 where the machine has no figure for it."""
        if number_format not in self._peaks:
            own = self.machine.peak(number_format, self.threads)
            self._peaks[number_format] = self.machine.peak("fp32", self.threads) if isinstance(own, Unknown) else own
        return self._peaks[number_format]


def _roof(
    kernel: Kernel,
    where: Mapping[str, float],
    ceilings: _Ceilings,
    number_format: str | None,
) -> Roof | Unknown:
    work = kernel.work
    if isinstance(work, Unknown):
        return work
    flops = work.flops - 2 * work.padding_macs
    if not isinstance(flops, _NUMBER):
        return Unknown(f"{kernel.name} has open dimensions; bind them with --shape or --batch")
    chosen = number_format or kernel_format(kernel, work)
    peak = ceilings.peak(chosen)
    if isinstance(peak, Unknown):
        return peak
    memory, limiting = 0.0, "DRAM"
    behind = 0.0
    for name, bandwidth in ceilings.from_memory:
        behind += where[name]
        if isinstance(bandwidth, Unknown):
            if name == "DRAM" and behind:
                return bandwidth
            continue
        seconds = behind / bandwidth
        if seconds > memory:
            memory, limiting = seconds, name
    compute = flops / peak
    return Roof(
        seconds=max(compute, memory),
        compute_seconds=compute,
        memory_seconds=memory,
        level=limiting,
        dram_bytes=where["DRAM"],
        format=chosen,
    )


def kernel_format(kernel: Kernel, work: Work) -> str:
    """Number format the kernel computes in: int8 between DequantizeLinear and QuantizeLinear."""
    return "int8" if kernel.quantised else format_of(work.format or DType.FLOAT32)


_BITS = {"fp64": 64, "fp32": 32, "tf32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "int8": 8, "int4": 4}


def _bytes(access: Access, number_format: str) -> Maybe | float:
    """Bytes of an access, with floating-point tensors taken in `number_format`."""
    dtype = getattr(access.tensor.type, "dtype", None)
    if dtype is None or isinstance(access.bytes, Unknown) or "float" not in dtype.text:
        return access.bytes
    return access.bytes * _BITS.get(number_format, 32) / dtype.bits
