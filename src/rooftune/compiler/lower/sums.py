"""Sums, products and their kin of tensors, or of a tensor and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.activations import activate
from rooftune.compiler.lower.node import Take, attribute
from rooftune.compiler.lower.repeats import operand, widened
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Activation, Convolution, Dense, Floats, Pointwise
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, View
from rooftune.graph.constants import constant_of, is_constant
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_KINDS = {
    "Add": "add",
    "Div": "div",
    "Max": "max",
    "Mean": "add",
    "Min": "min",
    "Mul": "mul",
    "Sub": "sub",
    "Sum": "add",
}
_REVERSED = {"sub": "rsub", "div": "rdiv"}


def _join(work: Lowering, node: ir.Node) -> Refusal | None:
    """Any number of values, two at a time from the left."""
    kind, out, values = _KINDS[node.op_type], static_dims(node.outputs[0]), list(node.inputs)
    names = ["" if v is None else v.name or "" for v in values]
    gate = next((place for place, name in enumerate(names) if name in work.gates), None)
    if gate is not None and kind == "mul":
        sigmoid = work.gates[names[gate]]
        return activate(work, node, values[1 - gate], Activation("silu", 1.0), (sigmoid,), readers=2)
    given = [static_dims(v) for v in values]
    if not given or out is None or any(d is None or 0 in d for d in given):
        return Refusal("it does not join tensors of known size")
    total, mean = values[0], node.op_type == "Mean" and len(values) > 1
    if len(values) == 1:
        return _alone(work, node)
    for place, value in enumerate(values[1:], 1):
        before = total
        last = place == len(values) - 1 and not mean
        total = node.outputs[0] if last else _partial(work, node, given[: place + 1])
        refused = _join_two(work, node.name or "", kind, (before, value), total)
        if refused is not None:
            return refused
    return activate(work, node, total, Activation("times", 1 / len(values)), readers=0) if mean else None


def _alone(work: Lowering, node: ir.Node) -> Refusal | None:
    view = work.view(node.inputs[0])
    if view is None:
        return Refusal("its input is no map")
    work.views[node.outputs[0].name or ""] = view
    return None


def _partial(work: Lowering, node: ir.Node, given: Sequence[tuple[int, ...] | None]) -> ir.Value:
    """What the first few values come to: a value that nobody else reads."""
    sizes = np.broadcast_shapes(*(d for d in given if d is not None))
    name = work.fresh(f"{node.outputs[0].name} part")
    return ir.Value(name=name, shape=ir.Shape(sizes), type=ir.TensorType(ir.DataType.FLOAT))


def _join_two(
    work: Lowering, name: str, kind: str, values: tuple[ir.Value | None, ir.Value | None], result: ir.Value
) -> Refusal | None:
    out, given = static_dims(result), [static_dims(v) for v in values]
    for place in (0, 1):
        value = values[place]
        if given[1 - place] == out and is_constant(value) and value is not None and not value.is_graph_input():
            numbers = constant_of(value)
            if numbers is None or numbers.dtype != np.float32:
                continue
            placed = kind if place else _REVERSED.get(kind, kind)
            if _with_constant(work, name, values[1 - place], numbers, placed, result):
                return None
    wide = next((place for place in (0, 1) if given[place] == out), 0)
    same = given[0] == given[1]
    if same and _made(work, values[1 - wide]) > _made(work, values[wide]):
        wide = 1 - wide
    if wide == 1 and values[0] is not values[1]:
        kind = _REVERSED.get(kind, kind)
    return _of_two(work, name, kind, (values[wide], values[1 - wide]), result)


def _of_two(
    work: Lowering, name: str, kind: str, values: tuple[ir.Value | None, ir.Value | None], result: ir.Value
) -> Refusal | None:
    """The first value joined with the second, which may be repeated."""
    y = result.name or ""
    view = widened(work, values[0], static_dims(result) or ())
    if view is None:
        return Refusal("an input is no result of a kernel")
    other = operand(work, values[1], view, f"{y} other")
    if other is None:
        return Refusal("one of its inputs would have to be moved about")
    spread = work.lowered.shapes[other] != work.lowered.shapes[view.held]
    before = work.last(values[0])
    if (
        kind == "add"
        and not spread
        and isinstance(before, Convolution)
        and before.y == view.held
        and not before.residual
        and not before.activation.kind
        and _earlier(work, other, before)
    ):
        done = replace(before, nodes=(*before.nodes, name), y=y, residual=other)
        work.exchange(before, done, result)
    else:
        work.put_like(Pointwise((name,), view.held, y, kind, other, spread), result, view)
    return None


def _made(work: Lowering, value: ir.Value | None) -> int:
    return work.made.get("" if value is None else value.name or "", -1)


def _earlier(work: Lowering, other: str, before: Convolution) -> bool:
    """True where a value is there before an operation runs."""
    return work.made.get(other, -1) < work.made[before.y]


def _with_constant(
    work: Lowering, name: str, value: ir.Value | None, numbers: Floats, kind: str, result: ir.Value
) -> bool:
    """Numbers that are one, or one per channel, join what makes the other input."""
    found = _as_product_or_sum(kind, numbers)
    if found is None:
        return False
    kind, numbers = found
    if kind == "mul" and numbers.size == 1 and _scale_view(work, value, float(numbers.reshape(-1)[0]), result):
        return True
    view = work.whole(value)
    row = None if view is None else _per_channel(numbers, view)
    if view is None or row is None:
        return False
    y = result.name or ""
    if kind == "rsub":
        scale, shift = work.invent(f"{y} scale", -np.ones_like(row)), work.invent(f"{y} shift", row)
        work.put_like(Pointwise((name,), view.held, y, scale=scale, shift=shift), result, view)
        return True
    constant = work.invent(f"{y} {kind}", row)
    before = work.last(value)
    if isinstance(before, Convolution | Dense) and kind == "add" and not _ends(before):
        done = replace(before, nodes=(*before.nodes, name), y=y, bias=constant)
        work.exchange(before, done, result)
        return True
    scale, shift = (constant, "") if kind == "mul" else ("", constant)
    work.put_like(Pointwise((name,), view.held, y, scale=scale, shift=shift), result, view)
    return True


def _as_product_or_sum(kind: str, numbers: Floats) -> tuple[str, Floats] | None:
    """The same with `mul`, `add` or `rsub`; None for what is none of these."""
    if kind == "div":
        # a product with the reciprocal: rounded twice, as a reassociation may be
        with np.errstate(divide="ignore"):
            return "mul", (1 / numbers.astype(np.float64)).astype(np.float32)
    if kind == "sub":
        return "add", -numbers
    return (kind, numbers) if kind in ("mul", "add", "rsub") else None


def _scale_view(work: Lowering, value: ir.Value | None, factor: float, result: ir.Value) -> bool:
    """Leave a factor to whoever reads a part of a map: he multiplies on the way. False where all of it is read."""
    view = work.view(value)
    if view is None or view.covers(work.lowered.shapes[view.held]):
        return False
    work.views[result.name or ""] = replace(view, scale=view.scale * factor)
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
    if number not in range(2, _MOST_PRODUCTS + 1):
        return Refusal(f"there is no kernel for a power of {number:g}")
    return activate(work, node, node.inputs[0], Activation("power", number))


_POWERS = {0.5: "sqrt", 1.0: "", -1.0: "reciprocal"}

_MOST_PRODUCTS = 16
"""The largest power that is a product: errors grow with it."""


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
    gained, shifted = work.invent(f"{y} scale", gain), work.invent(f"{y} shift", shift - mean * gain)
    work.put(Pointwise((node.name or "",), x, y, scale=gained, shift=shifted), node.outputs[0], axes)
    return None


TAKES: Mapping[str, Take] = {"BatchNormalization": _batch_normalization, "Pow": _power, **dict.fromkeys(_KINDS, _join)}
