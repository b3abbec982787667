"""Cast, Not and comparisons of integers that the model is given: nothing is done before somebody reads a result."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.channels import parts_of
from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lower.repeats import operand, widened
from rooftune.compiler.lowering import INTEGERS, Lowering, pieces_of, static_dims
from rooftune.compiler.operations import Convert, Integers, Pointwise
from rooftune.compiler.views import (
    CHANNEL,
    COLUMN,
    IMAGE,
    ROW,
    View,
    broadcast,
    default_axes,
    joined,
    narrowed,
    reshaped,
    transposed,
    whole_view,
)
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES", "take_integers"]

Dims = tuple[int, ...]

_FITS = {"bool": {"bool", "uint8", "int32", "int64"}, "uint8": {"uint8", "int32", "int64"}, "int32": {"int32", "int64"}}
"""Types that hold every number of another: a cast to them changes nothing."""

_COMPARISONS = {"Equal": "eq", "Greater": "sgt", "GreaterOrEqual": "sge", "Less": "slt", "LessOrEqual": "sle"}


def take_integers(work: Lowering, node: ir.Node) -> Refusal | None:
    """Take in a node whose first input is integers of an input.

    Views and comparisons are remembered for whoever reads them; what becomes fp32 numbers is a map.
    """
    given = input_of(node, 0)
    integers = None if given is None else work.integers.get(given.name or "")
    result, out = node.outputs[0], static_dims(node.outputs[0])
    if integers is None or out is None or 0 in out:
        return Refusal("it does not read integers of an input, or makes a tensor of unknown size")
    if node.domain not in ("", "ai.onnx") or len(node.outputs) > 1:
        return Refusal("there is no kernel for it on integers")
    if result.dtype == ir.DataType.FLOAT:
        return _convert(work, node, integers)
    if node.op_type in _VIEWS:
        view = _VIEWS[node.op_type](integers.view, node, out)
        if view is None:
            return Refusal("its integers would have to be moved about")
        return work.read(result, replace(integers, view=view))
    steps = _steps(node, integers, out)
    if isinstance(steps, Refusal):
        return steps
    return work.read(result, replace(integers, steps=(*integers.steps, *steps)))


def _convert(work: Lowering, node: ir.Node, integers: Integers) -> Refusal | None:
    """A map of fp32 numbers: of the integers themselves, or of what truths stand for."""
    if node.op_type == "Cast":
        return _hold(work, node, node.outputs[0], integers)
    if node.op_type != "Where":
        return Refusal("there is no kernel for it on integers")
    one, other = (_only_number(input_of(node, place)) for place in (1, 2))
    if one is None or other is None:
        return _choose(work, node, integers)
    return _hold(work, node, node.outputs[0], integers, (float(one), float(other)))


def _hold(
    work: Lowering, node: ir.Node, value: ir.Value, integers: Integers, branches: tuple[float, float] | None = None
) -> Refusal | None:
    """Let a value be a map of integers, or of the numbers that a truth and an untruth stand for."""
    sizes = static_dims(value) or ()
    # a mask that says which tokens others may look at lies as tokens do
    mask = len(sizes) == 4 and sizes[1] == sizes[2] == 1
    axes = (IMAGE, ROW, COLUMN, CHANNEL) if mask else default_axes(len(sizes))
    pieces = pieces_of(broadcast(integers.view, sizes), whole_view("", sizes, axes)[0])
    if pieces is None:
        return Refusal("its integers would have to be moved about")
    work.put(Convert((node.name or "",), integers.view.held, value.name or "", integers, pieces, branches), value, axes)
    return None


def _choose(work: Lowering, node: ir.Node, truths: Integers) -> Refusal | None:
    """One of two values for every element."""
    result, values = node.outputs[0], node.inputs[1:3]
    out, y = static_dims(result) or (), result.name or ""
    # the one that is read where the condition holds is as large as the result, and made by somebody if one is
    first = max((0, 1), key=lambda place: (static_dims(values[place]) == out, _only_number(values[place]) is None))
    if first == 1:
        truths = replace(truths, steps=(*truths.steps, ("not", 0)))
    condition = _truths(work, node, truths)
    view = widened(work, values[first], out)
    if condition is None or view is None:
        return Refusal("its condition, or what it chooses, would have to be moved about")
    other = operand(work, values[1 - first], view, f"{y} other")
    known = operand(work, condition, view, f"{y} condition")
    if other is None or known is None:
        return Refusal("its condition, or what it chooses, would have to be moved about")
    spread = work.lowered.shapes[other] != work.lowered.shapes[view.held]
    operation = Pointwise((node.name or "",), view.held, y, "where", other, spread, condition=known)
    work.put_like(operation, result, view)
    return None


def _truths(work: Lowering, node: ir.Node, truths: Integers) -> ir.Value | None:
    """A value that is 1 where something is true: made once, however many nodes ask; None where no loop makes it."""
    if truths not in work.truths:
        kind = ir.TensorType(ir.DataType.FLOAT)
        name = work.fresh(f"{node.outputs[0].name} condition")
        value = ir.Value(name=name, shape=ir.Shape(truths.view.sizes), type=kind)
        if _hold(work, node, value, truths) is not None:
            return None
        work.truths[truths] = value
    return work.truths[truths]


def _steps(node: ir.Node, integers: Integers, out: Dims) -> tuple[tuple[str, int], ...] | Refusal:
    """What a node does to every integer."""
    if node.op_type == "Cast":
        kind = INTEGERS.get(node.outputs[0].dtype)
        if kind is None:
            return Refusal("it casts to a type that there are no kernels for")
        return () if kind in _FITS.get(_kind(integers), {"int64"}) else ((kind, 0),)
    if node.op_type == "Not":
        return (("not", 0),)
    if node.op_type not in _COMPARISONS:
        return Refusal("there is no kernel for it on integers")
    number = _only_number(input_of(node, 1))
    if number is None or integers.view.sizes != out:
        return Refusal("it does not compare with one number")
    return ((_COMPARISONS[node.op_type], int(number)),)


def _only_number(value: ir.Value | None) -> Any:
    """The number that a constant holds everywhere; None for anything else."""
    numbers = constant_of(value)
    if numbers is None or numbers.size == 0:
        return None
    flat = np.ascontiguousarray(numbers).reshape(-1)
    return flat[0] if flat.tobytes() == flat[:1].tobytes() * flat.size else None


def _kind(integers: Integers) -> str:
    """The type of what is left after all steps."""
    last = integers.steps[-1][0] if integers.steps else integers.dtype
    return last if last in INTEGERS.values() else "bool"


# views


def _reshape(view: View, node: ir.Node, out: Dims) -> View | None:
    # elements that follow one another are one run, however many dimensions count them
    return reshaped(replace(view, dims=(joined([f for dim in view.dims for f in dim]),)), out)


def _transpose(view: View, node: ir.Node, out: Dims) -> View | None:
    return transposed(view, [int(p) for p in attribute(node, "perm", tuple(reversed(range(len(view.dims)))))])


def _expand(view: View, node: ir.Node, out: Dims) -> View | None:
    return broadcast(view, out)


def _same(view: View, node: ir.Node, out: Dims) -> View | None:
    return view


def _slice(view: View, node: ir.Node, out: Dims) -> View | None:
    parts = parts_of(node)
    if isinstance(parts, Refusal):
        return None
    found: View | None = view
    for axis, part in parts:
        found = None if found is None else narrowed(found, axis, *part)
    return found


def _gather(view: View, node: ir.Node, out: Dims) -> View | None:
    """One index, which takes its dimension away, or several that are evenly apart."""
    where = constant_of(input_of(node, 1))
    dim = int(attribute(node, "axis", 0)) % len(view.dims)
    if where is None or where.ndim > 1:
        return None
    indices = [int(i) % view.sizes[dim] for i in where.reshape(-1)]
    steps = {b - a for a, b in itertools.pairwise(indices)} or {1}
    if len(steps) > 1 or min(steps) < 1:
        return None
    found = narrowed(view, dim, indices[0], len(indices), min(steps))
    if found is None or where.ndim == 1:
        return found
    return replace(found, dims=(*found.dims[:dim], *found.dims[dim + 1 :]))


_VIEWS: Mapping[str, Callable[[View, ir.Node, Dims], View | None]] = {
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshape),
    "Expand": _expand,
    "Gather": _gather,
    "Identity": _same,
    "Slice": _slice,
    "Transpose": _transpose,
}

TAKES: Mapping[str, Take] = dict.fromkeys(("Cast", "Not", *_COMPARISONS), take_integers)
