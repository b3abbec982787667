"""Bandwidths: the stream kernels on arrays that fit a level of memory, on every thread of a team."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftune.execute.probe.jit import compile_code
from rooftune.execute.probe.measure import WINDOW_SECONDS, Sample, calibrate, quickest, wall_seconds
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.streams import ARRAYS, ARRAYS_MOVED, StreamKernel
from rooftune.execute.probe.threads import Step, Team
from rooftune.execute.probe.verify import register_bytes, stream_argument
from rooftune.machine.topology import Topology

__all__ = ["Arrays", "StreamMeter", "cache_shares", "dram_array_bytes"]

_STAGGER = 1344
"""Bytes between the arrays' places in a 4 KB page: a third of it, in whole cache lines."""

_GRAIN = 4096
_PATTERN_BYTES = 1 << 20


def cache_shares(topology: Topology, cpus: Sequence[int]) -> dict[str, int | str]:
    """Bytes each thread may use of each cache level: half of the cache over the threads in it, or why there are none.

    A level counts only if that is at least twice what the thread has of the level before: else it would read that.
    """
    shares: dict[str, int | str] = {}
    inner = 0
    for level in sorted({cache.level for cache in topology.caches}):
        caches = [cache for cache in topology.caches if cache.level == level]
        own = []
        for cpu in cpus:
            size = next((c.size_bytes // sum(o in c.cpus for o in cpus) for c in caches if cpu in c.cpus), 0)
            own.append(size)
        capacity = min(own)
        share = capacity // 2
        if not capacity:
            shares[f"L{level}"] = "not every thread has one"
        elif share < 2 * inner:
            shares[f"L{level}"] = f"half of it is too small beside {inner} bytes of the level before"
        else:
            shares[f"L{level}"] = share
        inner = max(inner, capacity)
    return shares


def dram_array_bytes(topology: Topology, cpus: Sequence[int], available: int) -> tuple[int, bool]:
    """Bytes of one of three arrays: four times the last caches the threads reach, within half of the free memory.

    The second value says whether the four times were possible.
    """
    last = max((cache.level for cache in topology.caches), default=0)
    caches = sum(c.size_bytes for c in topology.caches if c.level == last and set(c.cpus) & set(cpus))
    wanted = 4 * (caches or 32 << 20)
    return min(wanted, available // 6), wanted <= available // 6


@dataclass
class Arrays:
    """Memory of a team: for each thread `count` arrays of `size` bytes, first touched by that thread."""

    size: int
    count: int
    regions: list[list[NDArray[np.uint8]]]

    @classmethod
    def touched(cls, team: Team, size: int, count: int) -> Arrays:
        """Fill `count` arrays per thread with random numbers between 1 and 2, each thread its own on its core."""
        size = max(_GRAIN, size // _GRAIN * _GRAIN)
        pattern = (1 + np.random.default_rng(0).random(_PATTERN_BYTES // 8)).view(np.uint8)
        regions: list[list[NDArray[np.uint8]]] = [[] for _ in team.cpus]

        def touch(rank: int) -> None:
            for number in range(count):
                array = allocate(size, _STAGGER * number)
                for start in range(0, size, _PATTERN_BYTES):
                    part = array[start : start + _PATTERN_BYTES]
                    part[:] = pattern[: part.size]
                regions[rank].append(array)

        team.each(touch)
        return cls(size, count, regions)


class StreamMeter:
    """Samples one stream kernel on arrays of a team.

    budget   bytes each thread may touch (all arrays of the pattern together); None = the arrays whole, one pass
             per window
    """

    def __init__(self, team: Team, kernel: StreamKernel, arrays: Arrays, budget: int | None) -> None:
        self._team, self._arrays = team, arrays
        self._code = compile_code(kernel.text, kernel.features)
        grain = kernel.turn_bytes(register_bytes(kernel.isa))
        wanted = arrays.size if budget is None else min(arrays.size, budget // ARRAYS[kernel.pattern])
        size = max(grain, wanted // grain * grain)
        self._arguments = [stream_argument(kernel, own, size) for own in arrays.regions]
        self._bytes = size * ARRAYS_MOVED[kernel.pattern] * len(team)
        self._passes = calibrate(team, self._steps, WINDOW_SECONDS)

    def sample(self, windows: int) -> Sample:
        """So many windows, one after the other."""
        stamps = self._team.run([[step] * (windows + 1) for step in self._steps(self._passes)])
        seconds = float(quickest(wall_seconds(stamps[:, 1:])))
        return Sample(self._bytes * self._passes / seconds, None, seconds / self._passes)

    @property
    def bytes_per_pass(self) -> int:
        """Bytes all threads together move in one pass."""
        return self._bytes

    def _steps(self, passes: int) -> list[Step]:
        address = self._code.address("kernel")
        return [Step(address, address_of(argument), passes) for argument in self._arguments]
