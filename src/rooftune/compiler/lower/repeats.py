"""Operands that are smaller than what they are joined with: the kernel repeats them, nobody writes them out."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lowering import Lowering
from rooftune.compiler.operations import Floats
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, View, broadcast, default_axes
from rooftune.graph.constants import constant_of

__all__ = ["fixed_numbers", "hold_numbers", "operand", "widened"]

_MOST = 1 << 24
"""Elements of a constant that is read."""


def fixed_numbers(value: ir.Value | None) -> Floats | None:
    """The elements of a constant that nobody who runs the model may replace; None for anything else."""
    return None if value is None or value.is_graph_input() else constant_of(value, _MOST)


def widened(work: Lowering, value: ir.Value | None, sizes: tuple[int, ...]) -> View | None:
    """A whole view of a value, repeated until it has these sizes."""
    view = work.view(value)
    if view is None or view.sizes == sizes:
        return work.whole(value)
    return work.arranged(broadcast(view, sizes), default_axes(len(sizes)))


def operand(work: Lowering, value: ir.Value | None, view: View, name: str) -> str | None:
    """The map of a value that is to be joined with a whole view: as large, or repeated by the kernel.

    name  of a map for it, or one like it, where its numbers are known ahead
    """
    numbers = fixed_numbers(value)
    if numbers is not None and numbers.dtype == np.float32:
        return hold_numbers(work, name, numbers, view)
    other = work.view(value)
    if other is not None and len(other.dims) <= len(view.dims) and _is_repeated(work, other, view):
        return other.held
    return work.like(value, view)


def _is_repeated(work: Lowering, other: View, view: View) -> bool:
    """True where a kernel finds the elements of a view in the smaller map of another."""
    its, mine = work.lowered.shapes[other.held], work.lowered.shapes[view.held]
    wide = broadcast(other, view.sizes)
    return (
        other.covers(its)
        and all(
            found == wanted or all(f.step == 0 for f in found)
            for found, wanted in zip(wide.dims, view.dims, strict=True)
        )
        and mine[IMAGE] % its[IMAGE] == 0
        and all(its[axis] in (1, mine[axis]) for axis in (CHANNEL, ROW, COLUMN))
    )


def hold_numbers(work: Lowering, name: str, numbers: Floats, view: View) -> str | None:
    """A map of known numbers for a kernel that repeats them over a whole view: no larger than need be.

    Returns its name, which is this one or one like it; None where the numbers have more dimensions than the view.
    """
    if numbers.ndim > len(view.dims):
        return None
    wide = numbers.reshape((1,) * (len(view.dims) - numbers.ndim) + numbers.shape)
    sizes = [f.size if size > 1 else 1 for dim, size in zip(view.dims, wide.shape, strict=True) for f in dim]
    factors = [f for dim in view.dims for f in dim]
    order = sorted(range(len(factors)), key=lambda i: (factors[i].axis, -factors[i].step))
    split = wide.reshape(sizes).transpose(order)
    full, shape = [], [1, 1, 1, 1]
    for place, factor in enumerate(factors[i] for i in order):
        same = [p for p, i in enumerate(order) if factors[i].axis == factor.axis]
        # images are counted modulo how many there are: what changes slowest is left out first
        known = [p for p in same if p <= place] if factor.axis == IMAGE else same
        full.append(factor.size if any(split.shape[p] > 1 for p in known) else 1)
        shape[factor.axis] *= full[-1]
    held = np.broadcast_to(split, full).reshape(shape)
    name = work.fresh(name)
    work.lowered.fixed[name] = np.ascontiguousarray(held, np.float32)
    work.lowered.shapes[name] = (shape[0], shape[1], shape[2], shape[3])
    return name
