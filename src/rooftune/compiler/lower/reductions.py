"""Reductions: over the channels of pixels, or over all pixels of a channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Activation, Pointwise, Reduction
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, Factor, View
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

Dims = tuple[tuple[Factor, ...], ...]

_KINDS = {
    "GlobalAveragePool": "mean",
    "GlobalMaxPool": "max",
    "ReduceL1": "l1",
    "ReduceL2": "l2",
    "ReduceLogSum": "sum",
    "ReduceLogSumExp": "logsumexp",
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "ReduceSumSquare": "sumsquare",
}


def _reduce(work: Lowering, node: ir.Node) -> Refusal | None:
    dims = static_dims(node.inputs[0])
    if dims is None:
        return Refusal("its input is of no known size")
    axes, keeps = _axes(node, len(dims)), bool(attribute(node, "keepdims", 1))
    if axes is None:
        return Refusal("what it runs over is not known")
    if all(dims[a] == 1 for a in axes):
        return _of_one(work, node, axes, keeps)
    found = _arranged(work, node.inputs[0], axes)
    if found is None:
        return Refusal("its elements would have to be moved about")
    view, over = found
    y, name = node.outputs[0].name or "", node.name or ""
    logarithm = node.op_type == "ReduceLogSum"
    first = work.fresh(f"{y} sum") if logarithm else y
    _put(work, node.outputs[0], Reduction((name,), view.held, first, _KINDS[node.op_type], over), view, axes, keeps)
    if logarithm:
        operation = Pointwise((name,), first, y, activation=Activation("log"))
        work.put_like(operation, node.outputs[0], work.views[y])
    return None


def _of_one(work: Lowering, node: ir.Node, axes: set[int], keeps: bool) -> Refusal | None:
    """Every number by itself: most reductions leave it as it is."""
    view = work.view(node.inputs[0])
    if view is None or _KINDS[node.op_type] not in ("max", "mean", "min", "prod", "sum") or "Log" in node.op_type:
        return Refusal("it runs over single numbers")
    work.views[node.outputs[0].name or ""] = replace(view, dims=_left(view, axes, keeps))
    return None


def _axes(node: ir.Node, rank: int) -> set[int] | None:
    """The dimensions it runs over; None where that is not known, or nothing is done."""
    if node.op_type.startswith("Global"):
        return set(range(2, rank))
    given = input_of(node, 1)
    if given is not None:
        numbers = constant_of(given)
        if numbers is None:
            return None
        axes = [int(a) for a in np.asarray(numbers).reshape(-1)]
    else:
        axes = [int(a) for a in attribute(node, "axes", ())]
    if not axes:
        return None if attribute(node, "noop_with_empty_axes", 0) else set(range(rank))
    return {a % rank for a in axes}


def _arranged(work: Lowering, value: ir.Value | None, axes: set[int]) -> tuple[View, str] | None:
    """A view in which what is reduced is either all channels or all pixels of its map, and which of both."""
    view = work.view(value)
    if view is None:
        return None
    for over, wanted in (("channels", {CHANNEL}), ("pixels", {ROW, COLUMN})):
        if view.covers(work.lowered.shapes[view.held]) and _are(view, axes, wanted):
            return view, over
    others = [d for d in range(len(view.dims)) if d not in axes]
    if not others or len(view.dims) - 1 in axes:
        order = dict.fromkeys(axes, CHANNEL) | dict.fromkeys(others[:-1], IMAGE) | dict.fromkeys(others[-1:], COLUMN)
        over = "channels"
    else:
        order = dict.fromkeys(axes, COLUMN) | dict.fromkeys(others[:-1], IMAGE) | dict.fromkeys(others[-1:], CHANNEL)
        over = "pixels"
    found = work.arranged(view, tuple(order[d] for d in range(len(view.dims))))
    return None if found is None else (found, over)


def _are(view: View, dims: set[int], wanted: set[int]) -> bool:
    """True where these dimensions move along these axes of the map only, and all others along none of them."""
    return all((f.axis in wanted) == (d in dims) for d, dim in enumerate(view.dims) for f in dim)


def _put(work: Lowering, value: ir.Value, operation: Reduction, view: View, axes: set[int], keeps: bool) -> None:
    """The operation, and its result as it lies: like the view, but for what is gone."""
    work.put_like(operation, value, view)
    images, channels, height, width = work.lowered.shapes[view.held]
    gone = (images, 1, height, width) if operation.over == "channels" else (images, channels, 1, 1)
    work.lowered.shapes[operation.y] = gone
    work.views[value.name or ""] = View(operation.y, _left(view, axes, keeps))


def _left(view: View, axes: set[int], keeps: bool) -> Dims:
    return tuple(() if d in axes else dim for d, dim in enumerate(view.dims) if keeps or d not in axes)


TAKES: Mapping[str, Take] = dict.fromkeys(_KINDS, _reduce)
