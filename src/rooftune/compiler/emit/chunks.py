"""Planes of pixels in chunks that fit the nearest cache, for what is worked out over pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rooftune.compiler.emit.function import Function, Index
from rooftune.compiler.emit.pixels import merged_rows
from rooftune.compiler.maps import Map
from rooftune.compiler.target import Target

__all__ = ["SUMS", "Chunks", "chunks"]

SUMS = 4
"""Sums side by side: an addition takes about as long as so many are started in."""

_LEAST = 32
"""Pixels a chunk is not cut below."""

_TURNS = 2
"""Jobs wanted for every thread."""


@dataclass(frozen=True)
class Chunks:
    """`count` chunks of a plane, of equal size: `lines` of `length` pixels. `merged` where lines run through rows."""

    count: int
    lines: int
    length: int
    merged: bool

    @property
    def pixels(self) -> int:
        """Pixels of a chunk."""
        return self.lines * self.length

    def start(self, x: Map, chunk: Index) -> Index:
        """Floats from the start of a block of channels to a chunk of it."""
        step = self.length * x.block if self.merged else self.lines * x.row
        return chunk * step + x.origin

    def over(self, code: Function, body: Callable[[Index, Index, int], None]) -> None:
        """Run the body for every pixel: with its line, its place in the line, and the number of the sum it may join."""
        whole = self.length // SUMS * SUMS
        with code.loop(0, self.lines) as line:
            if whole:
                with code.loop(0, whole, SUMS) as pixel:
                    for which in range(SUMS):
                        body(line, pixel + which, which)
            for rest in range(whole, self.length):
                body(line, rest, rest % SUMS)


def chunks(maps: tuple[Map, ...], target: Target) -> Chunks:
    """Chunks of maps of the same sizes: as few as fit half of the nearest cache and give every thread something."""
    x = maps[0]
    merged = all(merged_rows(m) for m in maps)
    pixels = x.height * x.width
    units = pixels if merged else x.height
    most = target.l1 // 2 // (4 * x.block)
    wanted = max(-(-pixels // most), -(-_TURNS * target.threads // (x.images * x.blocks)))
    counts = [n for n in range(1, units + 1) if units % n == 0 and (n == 1 or pixels // n >= _LEAST)]
    count = min((n for n in counts if n >= wanted), default=counts[-1])
    if merged:
        return Chunks(count, 1, pixels // count, merged)
    return Chunks(count, x.height // count, x.width, merged)
