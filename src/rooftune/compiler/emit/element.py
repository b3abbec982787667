"""Where an element of a tensor is, when its indices are known only at run time."""

from __future__ import annotations

from collections.abc import Sequence

from rooftune.compiler.emit.function import Index
from rooftune.compiler.maps import Map
from rooftune.compiler.views import Factor

__all__ = ["Point", "moved", "offset", "stride"]

Point = tuple[Index, Index, Index, Index]
"""Image, channel, row, column."""


def moved(point: Point, index: Index, factors: Sequence[Factor]) -> Point:
    """The point after `index` steps of a dimension made of these factors."""
    found = list(point)
    rest = index
    for place, factor in enumerate(reversed(factors)):
        first = place == len(factors) - 1
        part = rest if first else rest % factor.size
        rest = 0 if first else rest // factor.size
        found[factor.axis] = found[factor.axis] + part * factor.step
    return found[0], found[1], found[2], found[3]


def offset(x: Map, point: Point) -> Index:
    """Floats from the start of a map to the number at a point."""
    image, channel, row, column = point
    inside = channel // x.block * x.plane + channel % x.block
    return image * x.image + inside + row * x.row + column * x.block + x.origin


def stride(x: Map, factor: Factor) -> int:
    """Floats from one step of a factor to the next; channels in whole blocks."""
    each = (x.image, x.plane // x.block, x.row, x.block)[factor.axis]
    return each * factor.step
