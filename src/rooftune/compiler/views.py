"""How a tensor of a model lies in a map: reshapes, transposes and slices move nothing, they are read differently."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = [
    "CHANNEL",
    "COLUMN",
    "IMAGE",
    "ROW",
    "Factor",
    "Shape",
    "View",
    "broadcast",
    "default_axes",
    "joined",
    "map_view",
    "narrowed",
    "reshaped",
    "transposed",
    "whole_view",
]

Shape = tuple[int, int, int, int]
"""Images, channels, rows, columns; a matrix has one pixel per row."""

IMAGE, CHANNEL, ROW, COLUMN = range(4)
"""The axes of a map."""


@dataclass(frozen=True)
class Factor:
    """`size` steps of `step` along an axis of a map; a step of 0 repeats."""

    size: int
    axis: int
    step: int


Dims = tuple[tuple[Factor, ...], ...]
"""For every dimension of a tensor the factors its index is made of, the slowest first; none where its size is 1."""


@dataclass(frozen=True)
class View:
    """A tensor as it lies in the map `held`: an element is at `start` plus the steps of its indices, times `scale`."""

    held: str
    dims: Dims
    start: Shape = (0, 0, 0, 0)
    scale: float = 1.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """The tensor's dimensions."""
        return tuple(math.prod(f.size for f in dim) for dim in self.dims)

    def covers(self, shape: Shape) -> bool:
        """True where it shows every element of the map once, as it is."""
        if self.start != (0, 0, 0, 0) or self.scale != 1.0:
            return False
        for axis, size in enumerate(shape):
            factors = sorted((f for dim in self.dims for f in dim if f.axis == axis), key=lambda f: f.step)
            reached = 1
            for factor in factors:
                if factor.step != reached:
                    return False
                reached *= factor.size
            if reached != size:
                return False
        return True

    def only(self, dim: int, axis: int) -> bool:
        """True where a dimension moves along one axis, and no other dimension does."""
        return all(f.axis == axis for f in self.dims[dim]) and not any(
            f.axis == axis for d, factors in enumerate(self.dims) if d != dim for f in factors
        )


def default_axes(rank: int) -> tuple[int, ...]:
    """Where the dimensions of a tensor go that nobody has asked for: images N×C×H×W, or rows with channels last."""
    known: tuple[tuple[int, ...], ...] = (
        (),
        (CHANNEL,),
        (IMAGE, CHANNEL),
        (IMAGE, COLUMN, CHANNEL),
        (IMAGE, CHANNEL, ROW, COLUMN),
    )
    return known[rank] if rank < len(known) else (*(IMAGE,) * (rank - 3), ROW, COLUMN, CHANNEL)


def whole_view(held: str, sizes: Sequence[int], axes: Sequence[int]) -> tuple[View, Shape]:
    """The view of a map made for a tensor, every dimension on its axis, and the shape of that map."""
    shape = [1, 1, 1, 1]
    dims: list[tuple[Factor, ...]] = []
    for size, axis in zip(reversed(sizes), reversed(axes), strict=True):
        dims.insert(0, joined([Factor(size, axis, shape[axis])]))
        shape[axis] *= size
    return View(held, tuple(dims)), (shape[0], shape[1], shape[2], shape[3])


def map_view(held: str, shape: Shape) -> View:
    """The whole of a map as images N×C×H×W."""
    return whole_view(held, shape, (IMAGE, CHANNEL, ROW, COLUMN))[0]


def transposed(view: View, order: Sequence[int]) -> View:
    """The tensor with its dimensions in another order."""
    return replace(view, dims=tuple(view.dims[d] for d in order))


def reshaped(view: View, sizes: Sequence[int]) -> View | None:
    """The tensor with other dimensions; None where that would have to move elements."""
    left = [f for dim in view.dims for f in dim]
    dims: list[tuple[Factor, ...]] = []
    for size in sizes:
        taken: list[Factor] = []
        wanted = size
        while wanted > 1 and left:
            factor = left.pop(0)
            if wanted % factor.size == 0:
                taken.append(factor)
                wanted //= factor.size
            elif factor.size % wanted == 0:
                inner = factor.size // wanted
                taken.append(Factor(wanted, factor.axis, factor.step * inner))
                left.insert(0, Factor(inner, factor.axis, factor.step))
                wanted = 1
            else:
                return None
        if wanted != 1:
            return None
        dims.append(joined(taken))
    return None if left else replace(view, dims=tuple(dims))


def narrowed(view: View, dim: int, first: int, size: int, step: int = 1) -> View | None:
    """`size` indices of one dimension, from `first` on in steps; None where these are not evenly apart."""
    factors = view.dims[dim]
    start = list(view.start)
    if size == 1:
        rest = first
        for factor in reversed(factors):
            start[factor.axis] += rest % factor.size * factor.step
            rest //= factor.size
        kept: tuple[Factor, ...] = ()
    else:
        inner = math.prod(f.size for f in factors[1:])
        if len(factors) > 1 and (first % inner or size % inner or step != 1):
            return None
        outer = factors[0]
        start[outer.axis] += first // inner * outer.step
        kept = (Factor(size // inner, outer.axis, outer.step * step), *factors[1:])
    dims = (*view.dims[:dim], joined(kept), *view.dims[dim + 1 :])
    return replace(view, dims=dims, start=(start[0], start[1], start[2], start[3]))


def broadcast(view: View, sizes: Sequence[int]) -> View:
    """The tensor repeated along dimensions of size 1, and new ones in front, until it has these sizes."""
    dims = ((),) * (len(sizes) - len(view.dims)) + view.dims
    filled = tuple(
        (Factor(size, IMAGE, 0),) if not dim and size != 1 else dim for dim, size in zip(dims, sizes, strict=True)
    )
    return replace(view, dims=filled)


def joined(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """Without factors of size 1, and neighbours that are one run joined."""
    found: list[Factor] = []
    for factor in factors:
        if factor.size == 1:
            continue
        before = found[-1] if found else None
        if before is not None and before.axis == factor.axis and before.step == factor.size * factor.step:
            found[-1] = Factor(before.size * factor.size, factor.axis, factor.step)
        else:
            found.append(factor)
    return tuple(found)
