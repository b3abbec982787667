"""Which CPUs a worker may use: exactly as many as it has threads, distinct cores first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["choose_cpus", "pin_process", "sibling_groups", "usable_cpus"]


def usable_cpus() -> tuple[int, ...]:
    """Ids of the CPUs this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def sibling_groups(cpus: Sequence[int], sysfs: Path = Path("/sys/devices/system/cpu")) -> Mapping[int, str]:
    """For each CPU, the text naming the hardware threads of its core (its own id where the system does not say)."""
    groups: dict[int, str] = {}
    for cpu in cpus:
        try:
            groups[cpu] = (sysfs / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            groups[cpu] = str(cpu)
    return groups


def choose_cpus(threads: int, usable: Sequence[int], siblings: Mapping[int, str]) -> tuple[int, ...]:
    """The first `threads` usable CPUs, one per core before any core is used twice.

    Fewer CPUs than threads: all of them (the threads then share).
    """
    seen: dict[str, int] = {}
    turn: list[tuple[int, int]] = []
    for cpu in usable:
        core = siblings.get(cpu, str(cpu))
        seen[core] = seen.get(core, 0) + 1
        turn.append((seen[core], cpu))
    return tuple(sorted(cpu for _, cpu in sorted(turn)[:threads]))


def pin_process(cpus: Sequence[int]) -> tuple[int, ...]:
    """Bind this process and the threads it will start to `cpus`; returns what the system made of it."""
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
    return usable_cpus()
