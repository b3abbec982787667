"""Bandwidths: the stream kernels on arrays that fit a level of memory, on every thread of a team."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rooftune.compiler.machine_code import compile_code
from rooftune.execute.probe.measure import WINDOW_SECONDS, Sample, calibrate, quickest, wall_seconds
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.streams import ARRAYS, ARRAYS_MOVED, StreamKernel
from rooftune.execute.probe.threads import Step, Team
from rooftune.execute.probe.verify import register_bytes, stream_argument
from rooftune.machine.topology import Topology

__all__ = ["PIECES", "Arrays", "StreamMeter", "cache_shares", "dram_array_bytes"]

_STAGGER = 1344
"""Bytes between the arrays' places in a 4 KB page: a third of it, in whole cache lines."""

PIECES = 32
"""Pieces in which arrays beyond the caches are walked through."""

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

    share   bytes each thread may touch (all arrays of the pattern together), again and again. None = the arrays
            whole, a piece per window: no window is longer than a scheduler's slice, and what a window touches has
            left the caches since the sweep before
    """

    def __init__(self, team: Team, kernel: StreamKernel, arrays: Arrays, share: int | None) -> None:
        self._team, self._arrays = team, arrays
        self._code = compile_code(kernel.text, kernel.features)
        grain = kernel.turn_bytes(register_bytes(kernel.isa))
        wanted = arrays.size // PIECES if share is None else min(arrays.size, share // ARRAYS[kernel.pattern])
        size = max(grain, wanted // grain * grain)
        pieces = min(PIECES, arrays.size // size) if share is None else 1
        self._arguments = [
            [stream_argument(kernel, [array[piece * size :] for array in own], size) for own in arrays.regions]
            for piece in range(pieces)
        ]
        self._bytes = size * ARRAYS_MOVED[kernel.pattern] * len(team)
        self._passes = 1 if share is None else calibrate(team, lambda passes: self._steps(0, passes), WINDOW_SECONDS)

    def sample(self, windows: int) -> Sample:
        """So many windows (in pieces: sweeps over all of them), after one that does not count."""
        pieces = len(self._arguments)
        rounds = [self._steps(piece, self._passes) for piece in range(pieces)]
        steps = [[row[rank] for row in rounds] * (windows + 1) for rank in range(len(self._team))]
        wall = wall_seconds(self._team.run(steps)[:, pieces:])
        # pieces lie in different places of the memory: their typical speed counts, not that of the luckiest
        seconds = float(quickest(wall) if pieces == 1 else quickest(wall, share=4))
        return Sample(self._bytes * self._passes / seconds, None, seconds / self._passes)

    @property
    def window_bytes(self) -> int:
        """Bytes all threads together move in one pass over their arrays, or over one piece."""
        return self._bytes

    def _steps(self, piece: int, passes: int) -> list[Step]:
        address = self._code.address("kernel")
        return [Step(address, address_of(argument), passes) for argument in self._arguments[piece]]
