"""Pixels side by side: several at a time, so that what is summed up for each does not wait for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rooftune.compiler.emit.function import Function, Index
from rooftune.compiler.emit.work import jobs
from rooftune.compiler.maps import Map
from rooftune.compiler.target import Target

__all__ = ["Tiles", "each_block", "merged_rows", "tiles"]

_WIDEST = 8


@dataclass(frozen=True)
class Tiles:
    """Tiles of `count` neighbouring pixels each, of two maps of the same images, rows and columns.

    x, y          floats to the next line, and to the next pixel of one, by map
    lines, length  how many lines an image has, and how many pixels a line
    """

    count: int
    images: int
    lines: int
    length: int
    x: tuple[int, int]
    y: tuple[int, int]

    @contextmanager
    def jobs(self, code: Function, x: Map, y: Map) -> Iterator[tuple[Index, Index]]:
        """Run the body for this thread's tiles: where the first pixel is in both maps, in floats.

        The last tile of a line ends where the line does. What it shares with the one before is done twice, perhaps by
        two threads at once: results may be written, but not read again.
        """
        each = -(-self.length // self.count)
        with jobs(code, self.images * self.lines * each) as job:
            line, image = job // each % self.lines, job // (each * self.lines)
            pixel = code.least(job % each * self.count, self.length - self.count)
            yield (
                image * x.image + line * self.x[0] + pixel * self.x[1] + x.origin,
                image * y.image + line * self.y[0] + pixel * self.y[1] + y.origin,
            )


def tiles(x: Map, y: Map, target: Target) -> Tiles:
    """Tiles of the pixels of two maps: as many pixels as leave registers for sums and two numbers of each, and fit
    half of a core's own cache; no more than a vector has lanes for their sums."""
    fit = target.l2 // 2 // (4 * x.blocks * x.block)
    most = max(1, min(_WIDEST, target.lanes, target.registers // 4, fit))
    if x.height * x.width == 1:
        images, lines, length, steps = 1, 1, x.images, ((0, x.image), (0, y.image))
    elif merged_rows(x) and merged_rows(y):
        images, lines, length, steps = x.images, 1, x.height * x.width, ((0, x.block), (0, y.block))
    else:
        images, lines, length, steps = x.images, x.height, x.width, ((x.row, x.block), (y.row, y.block))
    return Tiles(-(-length // -(-length // most)), images, lines, length, *steps)


def merged_rows(x: Map) -> bool:
    """True where the next row begins where one ends."""
    return x.row == x.width * x.block or x.height == 1


def each_block(code: Function, x: Map, body: Callable[[Index, int], None]) -> None:
    """Run the body for every block of channels, with its number and how many of its channels are not filling."""
    whole, rest = divmod(x.channels, x.block)
    if whole == 1:
        body(0, x.block)
    elif whole:
        with code.loop(0, whole) as block:
            body(block, x.block)
    if rest:
        body(whole, rest)
