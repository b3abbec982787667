"""Sums, products and their kin of two tensors, or of a tensor and constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.activations import activate
from rooftune.compiler.lower.node import Take, attribute
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Activation, Convolution, Dense, Floats, Pointwise
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, View, broadcast
from rooftune.graph.constants import constant_of, is_constant
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_KINDS = {"Add": "add", "Div": "div", "Max": "max", "Min": "min", "Mul": "mul", "Sub": "sub"}
_REVERSED = {"sub": "rsub", "div": "rdiv"}


def _join(work: Lowering, node: ir.Node) -> Refusal | None:
    kind, out = _KINDS[node.op_type], static_dims(node.outputs[0])
    given = [static_dims(v) for v in node.inputs]
    names = ["" if v is None else v.name or "" for v in node.inputs]
    gate = next((place for place, name in enumerate(names) if name in work.gates), None)
    if gate is not None and kind == "mul":
        sigmoid = work.gates[names[gate]]
        return activate(work, node, node.inputs[1 - gate], Activation("silu", 1.0), (sigmoid,), readers=2)
    if len(given) != 2 or None in given or out is None or any(0 in (d or ()) for d in given):
        return Refusal("it does not join two tensors of known size")
    wide = next((place for place in (0, 1) if given[place] == out), None)
    if wide is None:
        return Refusal("both of its inputs are spread")
    for place in (0, 1):
        value = node.inputs[place]
        if given[1 - place] == out and is_constant(value) and value is not None and not value.is_graph_input():
            numbers = constant_of(value)
            if numbers is None or numbers.dtype != np.float32:
                continue
            if _with_constant(
                work, node, node.inputs[1 - place], numbers, kind if place else _REVERSED.get(kind, kind)
            ):
                return None
    return _of_two(work, node, kind, wide)


def _of_two(work: Lowering, node: ir.Node, kind: str, wide: int) -> Refusal | None:
    y, name = node.outputs[0].name or "", node.name or ""
    values = [node.inputs[wide], node.inputs[1 - wide]]
    same = static_dims(values[0]) == static_dims(values[1])
    if same and _made(work, values[1]) > _made(work, values[0]):
        values.reverse()
    if values[0] is not node.inputs[0]:
        kind = _REVERSED.get(kind, kind)
    view = work.whole(values[0])
    if view is None:
        return Refusal("an input is no result of a kernel")
    spread = None if same else _spread(work, view, values[1])
    if spread is not None:
        work.put_like(Pointwise((name,), view.held, y, kind, spread, spread=True), node.outputs[0], view)
        return None
    other = work.like(values[1], view)
    if other is None:
        return Refusal("one of its inputs would have to be moved about")
    before = work.last(values[0])
    if (
        kind == "add"
        and isinstance(before, Convolution)
        and before.y == view.held
        and not before.residual
        and not before.activation.kind
        and _earlier(work, other, before)
    ):
        done = replace(before, nodes=(*before.nodes, name), y=y, residual=other)
        work.exchange(before, done, node.outputs[0])
    else:
        work.put_like(Pointwise((name,), view.held, y, kind, other), node.outputs[0], view)
    return None


def _made(work: Lowering, value: ir.Value | None) -> int:
    return work.made.get("" if value is None else value.name or "", -1)


def _earlier(work: Lowering, other: str, before: Convolution) -> bool:
    """True where a value is there before an operation runs."""
    return work.made.get(other, -1) < work.made[before.y]


def _spread(work: Lowering, view: View, value: ir.Value | None) -> str | None:
    """The map of one pixel per image and channel that a value is, for a view of images or rows."""
    other = work.view(value)
    if other is None or len(other.dims) > len(view.dims):
        return None
    images, channels, height, width = work.lowered.shapes[other.held]
    wide = broadcast(other, view.sizes)
    pixels = [any(f.axis in (ROW, COLUMN) for f in dim) for dim in view.dims]
    fits = all(
        all(f.step == 0 for f in found) if pixel else found == wanted
        for found, wanted, pixel in zip(wide.dims, view.dims, pixels, strict=True)
    )
    mine = work.lowered.shapes[view.held]
    same = (images, channels, height, width) == (mine[IMAGE], mine[CHANNEL], 1, 1)
    return other.held if fits and same and other.covers(work.lowered.shapes[other.held]) else None


def _with_constant(work: Lowering, node: ir.Node, value: ir.Value | None, numbers: Floats, kind: str) -> bool:
    """Numbers that are one, or one per channel, join what makes the other input."""
    y, name = node.outputs[0].name or "", node.name or ""
    if kind in ("max", "min", "rdiv"):
        return False
    if kind == "div":
        # a product with the reciprocal: rounded twice, as a reassociation may be
        with np.errstate(divide="ignore"):
            numbers, kind = (1 / numbers.astype(np.float64)).astype(np.float32), "mul"
    if kind == "sub":
        numbers, kind = -numbers, "add"
    if numbers.size == 1 and kind == "mul":
        view = work.view(value)
        if view is not None and not view.covers(work.lowered.shapes[view.held]):
            # whoever reads a part of a map multiplies on the way
            work.views[y] = replace(view, scale=view.scale * float(numbers.reshape(-1)[0]))
            return True
    view = work.whole(value)
    row = None if view is None else _per_channel(numbers, view)
    if view is None or row is None:
        return False
    if kind == "rsub":
        for what, given in (("scale", -np.ones_like(row)), ("shift", row)):
            work.lowered.constants[f"{y} {what}"] = ir.Tensor(given)
        operation = Pointwise((name,), view.held, y, scale=f"{y} scale", shift=f"{y} shift")
        work.put_like(operation, node.outputs[0], view)
        return True
    constant = f"{y} {kind}"
    work.lowered.constants[constant] = ir.Tensor(row)
    before = work.last(value)
    if isinstance(before, Convolution | Dense) and kind == "add" and not _ends(before):
        done = replace(before, nodes=(*before.nodes, name), y=y, bias=constant)
        work.exchange(before, done, node.outputs[0])
        return True
    scale, shift = (constant, "") if kind == "mul" else ("", constant)
    work.put_like(Pointwise((name,), view.held, y, scale=scale, shift=shift), node.outputs[0], view)
    return True


def _ends(before: Convolution | Dense) -> bool:
    residual = isinstance(before, Convolution) and before.residual
    return bool(before.bias or before.activation.kind or residual)


def _per_channel(numbers: Floats, view: View) -> Floats | None:
    """One number for every channel of the map, where the constant says no more than that."""
    wide = numbers.reshape((1,) * (len(view.dims) - numbers.ndim) + numbers.shape)
    channels = [all(f.axis == CHANNEL for f in dim) for dim in view.dims]
    if any(size != 1 and not channel for size, channel in zip(wide.shape, channels, strict=True)):
        return None
    row = np.empty(_channels(view), np.float32)
    sizes = view.sizes
    full = np.broadcast_to(wide, [s if c else 1 for s, c in zip(sizes, channels, strict=True)]).reshape(-1)
    places = np.zeros(1, np.int64)
    for dim, channel in zip(view.dims, channels, strict=True):
        for factor in dim if channel else ():
            places = (places[:, None] + factor.step * np.arange(factor.size)).reshape(-1)
    if places.size != row.size or full.size != row.size:
        # another dimension counts channels as well
        return np.full(row.size, numbers.reshape(-1)[0], np.float32) if numbers.size == 1 else None
    row[places] = full
    return row


def _channels(view: View) -> int:
    count = 1
    for dim in view.dims:
        for factor in dim:
            count *= factor.size if factor.axis == CHANNEL else 1
    return count


def _power(work: Lowering, node: ir.Node) -> Refusal | None:
    """Powers that are products, roots or reciprocals."""
    exponent = constant_of(node.inputs[1])
    if exponent is None or exponent.size != 1 or exponent.ndim > len(static_dims(node.outputs[0]) or ()):
        return Refusal("its exponent is not one number")
    number = float(exponent.reshape(-1)[0])
    if number in _POWERS:
        return activate(work, node, node.inputs[0], Activation(_POWERS[number]))
    view = work.whole(node.inputs[0])
    if number != 2 or view is None:
        return Refusal(f"there is no kernel for a power of {number:g}")
    y = node.outputs[0].name or ""
    work.put_like(Pointwise((node.name or "",), view.held, y, "mul", view.held), node.outputs[0], view)
    return None


_POWERS = {0.5: "sqrt", 1.0: "", -1.0: "reciprocal"}


def _batch_normalization(work: Lowering, node: ir.Node) -> Refusal | None:
    parts = [constant_of(v) for v in node.inputs[1:5]]
    dims = static_dims(node.inputs[0])
    if len(node.outputs) > 1 or any(p is None or p.dtype != np.float32 for p in parts) or dims is None:
        return Refusal("it trains, or its parameters are no fp32 constants")
    axes = {2: (IMAGE, CHANNEL), 3: (IMAGE, CHANNEL, COLUMN), 4: (IMAGE, CHANNEL, ROW, COLUMN)}.get(len(dims))
    x = None if axes is None else work.map(node.inputs[0], axes)
    if x is None:
        return Refusal("its input is no map of known size")
    scale, shift, mean, variance = (np.asarray(p, np.float64) for p in parts)
    gain = scale / np.sqrt(variance + float(attribute(node, "epsilon", 1e-5)))
    y = node.outputs[0].name or ""
    for what, row in (("scale", gain), ("shift", shift - mean * gain)):
        work.lowered.constants[f"{y} {what}"] = ir.Tensor(row.astype(np.float32))
    work.put(Pointwise((node.name or "",), x, y, scale=f"{y} scale", shift=f"{y} shift"), node.outputs[0], axes)
    return None


TAKES: Mapping[str, Take] = {"BatchNormalization": _batch_normalization, "Pow": _power, **dict.fromkeys(_KINDS, _join)}
