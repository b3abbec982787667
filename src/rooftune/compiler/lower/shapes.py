"""Reshape, Transpose, Expand, Tile and their kin: nothing moves before somebody must have it moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute
from rooftune.compiler.lowering import Lowering, Plan, static_dims
from rooftune.compiler.views import (
    CHANNEL,
    IMAGE,
    Factor,
    View,
    broadcast,
    default_axes,
    joined,
    reshaped,
    transposed,
)
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]


def _reshape(work: Lowering, node: ir.Node) -> Refusal | None:
    out, view = static_dims(node.outputs[0]), work.view(node.inputs[0])
    if out is None or view is None:
        return Refusal("its input is no map of known size")
    found = reshaped(view, out)
    if found is None:
        # elements in the order of the tensor, so that they can be divided in any way
        found = _in_order(work, node.inputs[0], out)
    if found is None:
        return Refusal("its elements would have to be moved about")
    _keep(work, node, found)
    return None


def _in_order(work: Lowering, value: ir.Value | None, out: tuple[int, ...]) -> View | None:
    dims = static_dims(value) or ()
    held = work.map(value, (CHANNEL,) * len(dims))
    if held is None:
        return None
    whole, _ = work.flat(held)
    return reshaped(whole, out)


def _transpose(work: Lowering, node: ir.Node) -> Refusal | None:
    view = work.view(node.inputs[0])
    if view is None:
        return Refusal("its input is no map of known size")
    order = [int(p) for p in attribute(node, "perm", tuple(reversed(range(len(view.dims)))))]
    _keep(work, node, transposed(view, order))
    return None


def _expand(work: Lowering, node: ir.Node) -> Refusal | None:
    out, view = static_dims(node.outputs[0]), work.view(node.inputs[0])
    if out is None or view is None:
        return Refusal("its input is no map of known size")
    work.views[node.outputs[0].name or ""] = broadcast(view, out)
    return None


def _tile(work: Lowering, node: ir.Node) -> Refusal | None:
    view, times = work.view(node.inputs[0]), constant_of(node.inputs[1])
    if view is None or times is None or len(times) != len(view.dims):
        return Refusal("its input is no map of known size, or it is not known how often it is repeated")
    repeated = [joined((Factor(int(n), IMAGE, 0), *dim)) for n, dim in zip(times, view.dims, strict=True)]
    work.views[node.outputs[0].name or ""] = replace(view, dims=tuple(repeated))
    return None


def _blocks(work: Lowering, node: ir.Node) -> Refusal | None:
    """DepthToSpace and SpaceToDepth: a reshape, a transpose and a reshape."""
    dims, out, view = static_dims(node.inputs[0]), static_dims(node.outputs[0]), work.view(node.inputs[0])
    if dims is None or out is None or view is None or len(dims) != 4:
        return Refusal("its input is no map of known size")
    size, (n, c, h, w) = int(attribute(node, "blocksize", 1)), dims
    depth_first = attribute(node, "mode", "DCR") == "DCR"
    if node.op_type == "SpaceToDepth":
        middle = (n, c, h // size, size, w // size, size)
        order = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    elif depth_first:
        middle, order = (n, size, size, c // size**2, h, w), (0, 3, 4, 1, 5, 2)
    else:
        middle, order = (n, c // size**2, size, size, h, w), (0, 1, 4, 2, 5, 3)
    split = reshaped(view, middle)
    found = None if split is None else reshaped(transposed(split, order), out)
    if found is None:
        return Refusal("its elements would have to be moved about")
    _keep(work, node, found)
    return None


def _keep(work: Lowering, node: ir.Node, view: View) -> None:
    """Hold the view, or, where its channels are shuffled, a plan of them."""
    name = node.outputs[0].name or ""
    work.views[name] = view
    if len(view.dims) != 4 or view.scale != 1.0 or view.covers(work.lowered.shapes[view.held]) is False:
        return
    usual = default_axes(4)
    others = all(all(f.axis == usual[d] for f in view.dims[d]) for d in range(4))
    if others and len(view.dims[1]) > 1:
        plan = work.plan_of(view, 1)
        del work.views[name]
        work.plans[name] = Plan((node.name or "",), plan.channels, 1, plan.like)


TAKES: Mapping[str, Take] = {
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _reshape),
    "DepthToSpace": _blocks,
    "Expand": _expand,
    "SpaceToDepth": _blocks,
    "Tile": _tile,
    "Transpose": _transpose,
}
