"""Limits a container puts on a process: CPU quota, allowed cores and memory, from cgroup v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CgroupLimits", "parse_cpu_list", "read_limits", "read_text"]

_MAX_CHARACTERS = 16 << 20
_NO_MEMORY_LIMIT = 1 << 60  # cgroup v1 writes "no limit" as the largest multiple of a page below 2**63


@dataclass(frozen=True)
class CgroupLimits:
    """What the control groups of this process allow.

    quota_cpus    CPU-seconds per second, the tightest of all ancestors; None = no quota
    cpus          cores of the cpuset; None = no cpuset found
    memory_bytes  the tightest memory limit; None = no limit
    """

    quota_cpus: float | None = None
    cpus: frozenset[int] | None = None
    memory_bytes: int | None = None


def read_text(path: Path) -> str | None:
    """Text of a small system file without its surrounding blanks; None where it is missing or may not be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_MAX_CHARACTERS).strip("\x00 \t\r\n")
    except (OSError, ValueError):
        return None


def parse_cpu_list(text: str | None) -> tuple[int, ...]:
    """Core numbers of a kernel list such as `0-3,8,10-11`; empty for nothing or nonsense."""
    numbers: set[int] = set()
    for part in (text or "").replace("\n", ",").split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            continue
        low, high = int(first), int(last or first)
        if low <= high < 1 << 16:  # a kernel is built for at most a few thousand cores
            numbers.update(range(low, high + 1))
    return tuple(sorted(numbers))


def read_limits(root: Path = Path("/")) -> CgroupLimits:
    """Limits of the calling process, from `/proc/self/cgroup` and every group above it.

    The file system is read below `root`, so that a recorded tree can be used. Version 1 and version 2
    hierarchies may be mounted at once; then the tighter one counts.
    """
    quotas: list[float] = []
    memories: list[int] = []
    cpus: frozenset[int] | None = None
    for directory in _groups(root, "cpu"):
        quotas += _quota(directory)
    for directory in _groups(root, "memory"):
        memories += _memory(directory)
    for directory in _groups(root, "cpuset"):
        allowed = _cpuset(directory)
        if allowed:  # the nearest group that says anything: its effective set already includes its ancestors
            cpus = allowed
            break
    return CgroupLimits(min(quotas, default=None), cpus, min(memories, default=None))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups that hold this process, the innermost first, up to where the hierarchy is mounted."""
    for unified, path in _memberships(root, controller):
        for mount, mounted_root in _mounts(root, controller, unified):
            inside = _relative(path, mounted_root)
            folder = mount / inside
            yield folder
            for _ in Path(inside).parts:
                folder = folder.parent
                yield folder


def _memberships(root: Path, controller: str) -> Iterator[tuple[bool, str]]:
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            yield True, path
        elif controller in controllers.split(","):
            yield False, path


def _mounts(root: Path, controller: str, unified: bool) -> list[tuple[Path, str]]:
    """Mount points of one hierarchy, each with the group that is mounted there."""
    found: list[tuple[Path, str]] = []
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        before, dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if not dash or len(fields) < 5 or len(kind) < 3:
            continue
        matches = kind[0] == "cgroup2" if unified else kind[0] == "cgroup" and controller in kind[2].split(",")
        if matches:
            found.append((root / fields[4].lstrip("/"), fields[3]))
    if found:
        return found
    conventional = ("", "unified") if unified else (controller, f"{controller},cpuacct", f"cpuacct,{controller}")
    folders = [root / "sys/fs/cgroup" / name for name in conventional]
    return [(folder, "/") for folder in folders if folder.is_dir()]


def _relative(path: str, mounted_root: str) -> str:
    """Path of a group below its mount; "" where a namespace hides how the two relate."""
    if ".." in path.split("/"):
        return ""
    prefix = mounted_root.rstrip("/")
    if path == prefix or path.startswith(prefix + "/"):
        return path[len(prefix) :].strip("/")
    # a container sees the host's path in /proc/self/cgroup, but only its own group is mounted
    return "" if prefix else path.strip("/")


def _quota(directory: Path) -> list[float]:
    text = read_text(directory / "cpu.max")
    if text:
        limit, _, period = text.partition(" ")
        return _ratio(limit, period or "100000")
    return _ratio(read_text(directory / "cpu.cfs_quota_us"), read_text(directory / "cpu.cfs_period_us"))


def _ratio(quota: str | None, period: str | None) -> list[float]:
    if not quota or not period or not quota.isdecimal() or not period.isdecimal():  # "max" and -1: no quota
        return []
    return [int(quota) / int(period)] if int(quota) > 0 and int(period) > 0 else []


def _memory(directory: Path) -> list[int]:
    text = read_text(directory / "memory.max") or read_text(directory / "memory.limit_in_bytes")
    if not text or not text.isdecimal():
        return []
    return [int(text)] if 0 < int(text) < _NO_MEMORY_LIMIT else []


def _cpuset(directory: Path) -> frozenset[int]:
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        allowed = parse_cpu_list(read_text(directory / name))
        if allowed:
            return frozenset(allowed)
    return frozenset()
