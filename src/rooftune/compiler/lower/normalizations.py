"""Normalisations and Softmax: over the channels of pixels, or over groups of channels and all pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of, weights
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Floats, LocalResponse, Normalization, Pointwise, Softmax
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, Factor, Shape, View, joined
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_SMALLEST = 1.2e-38
"""Beside this every norm but 0 counts in full."""


def _layer(work: Lowering, node: ir.Node) -> Refusal | None:
    """LayerNormalization and RMSNormalization over the last dimensions."""
    dims = static_dims(node.inputs[0])
    refused = weights(node, {"scale": 1, "bias": 2})
    if refused is not None or dims is None or not dims:
        return refused or Refusal("its input is of no known size")
    if any(v.uses() or v.is_graph_output() for v in node.outputs[1:]):
        return Refusal("it also gives means")
    first = int(attribute(node, "axis", -1)) % len(dims)
    view = _trailing(work, node.inputs[0], first)
    if view is None:
        return Refusal("its rows would have to be moved about")
    y = node.outputs[0].name or ""
    constants = {}
    for what, place in (("scale", 1), ("shift", 2)):
        value = input_of(node, place)
        if value is None:
            continue
        row = _by_channel(constant_of(value, limit=1 << 24), dims[first:], view, first)
        if row is None:
            return Refusal(f"its {what} is not one number per channel")
        constants[what] = work.invent(f"{y} {what}", row)
    kind = "layer" if node.op_type == "LayerNormalization" else "rms"
    epsilon = float(attribute(node, "epsilon", 1e-5))
    scale, shift = constants.get("scale", ""), constants.get("shift", "")
    operation = Normalization((node.name or "",), view.held, y, kind, epsilon, scale, shift)
    work.put_like(operation, node.outputs[0], view)
    return None


def _trailing(work: Lowering, value: ir.Value | None, first: int) -> View | None:
    """A view whose dimensions from one on are the channels of its map, and whose others are not."""
    view = work.view(value)
    rank = 0 if view is None else len(view.dims)
    if view is None or first == rank - 1:
        return work.rows(value)
    outer = (IMAGE,) * (first - 1) + (COLUMN,) * min(1, first)
    return work.arranged(view, (*outer, *(CHANNEL,) * (rank - first)))


def _by_channel(numbers: Floats | None, sizes: tuple[int, ...], view: View, first: int) -> Floats | None:
    """A constant that is spread over the last dimensions, in the order of the channels they count."""
    if numbers is None or numbers.ndim > len(sizes):
        return None
    try:
        flat = np.broadcast_to(numbers, sizes).reshape(-1)
    except ValueError:
        return None
    places = np.zeros(1, np.int64)
    for factor in (f for dim in view.dims[first:] for f in dim):
        places = (places[:, None] + factor.step * np.arange(factor.size)).reshape(-1)
    row = np.empty(flat.size, np.float32)
    row[places] = flat
    return row


def _group(work: Lowering, node: ir.Node) -> Refusal | None:
    """GroupNormalization and InstanceNormalization."""
    refused = weights(node, {"scale": 1, "bias": 2})
    view = work.view(node.inputs[0])
    if refused is not None or view is None or len(view.dims) < 3:
        return refused or Refusal("its input is no map of known size")
    count = view.sizes[1]
    groups = int(attribute(node, "num_groups", 0)) if node.op_type == "GroupNormalization" else count
    if groups < 1 or count % groups:
        return Refusal("its groups are not alike")
    if not _groups_lie_together(view, work.lowered.shapes[view.held]):
        axes = (IMAGE, CHANNEL, *(ROW,) * (len(view.dims) - 3), COLUMN)
        view = work.arranged(view, axes)
    if view is None:
        return Refusal("its input would have to be moved about")
    y, channels = node.outputs[0].name or "", work.lowered.shapes[view.held][CHANNEL]
    given: list[str] = []
    for what, place in (("scale", 1), ("shift", 2)):
        numbers = constant_of(input_of(node, place))
        if numbers is None or numbers.size not in (count, groups):
            return Refusal(f"its {what} is not one number per channel or group")
        # until opset 21 there is one number per group
        given.append(work.invent(f"{y} {what}", np.repeat(numbers.reshape(-1), channels // numbers.size)))
    epsilon = float(attribute(node, "epsilon", 1e-5))
    operation = Normalization((node.name or "",), view.held, y, "group", epsilon, given[0], given[1], groups)
    work.put_like(operation, node.outputs[0], view)
    return None


def _groups_lie_together(view: View, shape: Shape) -> bool:
    """True where the second dimension counts groups of neighbouring channels, and nothing but images is before it."""
    images, second, rest = view.dims[0], view.dims[1], view.dims[2:]
    count = view.sizes[1]
    return (
        view.covers(shape)
        and all(f.axis == IMAGE for f in images)
        and second == joined([Factor(count, CHANNEL, shape[CHANNEL] // count)])
        and not any(f.axis == IMAGE for dim in rest for f in dim)
    )


def _lp(work: Lowering, node: ir.Node) -> Refusal | None:
    """LpNormalization with p = 2: what RMSNormalization does, but for a factor."""
    if int(attribute(node, "p", 2)) != 2:
        return Refusal("its norm is not the root of squares")
    view = _along(work, node.inputs[0], int(attribute(node, "axis", -1)))
    if view is None:
        return Refusal("its rows would have to be moved about")
    y = node.outputs[0].name or ""
    channels = work.lowered.shapes[view.held][CHANNEL]
    scale = work.invent(f"{y} scale", np.full(channels, channels**-0.5, np.float32))
    operation = Normalization((node.name or "",), view.held, y, "rms", _SMALLEST, scale)
    work.put_like(operation, node.outputs[0], view)
    return None


def _local_response(work: Lowering, node: ir.Node) -> Refusal | None:
    """LRN: over neighbours among the channels."""
    dims, size = static_dims(node.inputs[0]), int(attribute(node, "size", 0))
    if dims is None or len(dims) < 2 or size < 1:
        return Refusal("its input is of no known size, or it is not known how many channels it looks at")
    axes = (IMAGE, CHANNEL, *(ROW,) * (len(dims) - 3), *(COLUMN,) * min(1, len(dims) - 2))
    x = work.map(node.inputs[0], axes)
    if x is None:
        return Refusal("its input would have to be moved about")
    factor = float(attribute(node, "alpha", 1e-4)) / size
    beta, bias = float(attribute(node, "beta", 0.75)), float(attribute(node, "bias", 1.0))
    before = (size - 1) // 2
    operation = LocalResponse(
        (node.name or "",), x, node.outputs[0].name or "", before, size - 1 - before, factor, beta, bias
    )
    work.put(operation, node.outputs[0], axes)
    return None


def _softmax(work: Lowering, node: ir.Node) -> Refusal | None:
    """Softmax or its logarithm over one dimension; a factor that stands before it is taken in."""
    dims, version = static_dims(node.inputs[0]), _version(node)
    if not dims:
        return Refusal("its input is of no known size")
    axis = int(attribute(node, "axis", -1 if version >= 13 else 1)) % len(dims)
    if version < 13 and any(size != 1 for size in dims[axis + 1 :]):
        return Refusal("it runs over several dimensions")
    y, name = node.outputs[0].name or "", node.name or ""
    logarithm = node.op_type == "LogSoftmax"
    before, factor = work.last(node.inputs[0]), _factor(work, node.inputs[0])
    if before is not None and factor is not None and work.views[before.y].only(axis, CHANNEL):
        done = Softmax((*before.nodes, name), before.x, y, factor, logarithm)
        work.exchange(before, done, node.outputs[0])
        return None
    view = _along(work, node.inputs[0], axis)
    if view is None:
        return Refusal("its rows would have to be moved about")
    work.put_like(Softmax((name,), view.held, y, logarithm=logarithm), node.outputs[0], view)
    return None


def _factor(work: Lowering, value: ir.Value | None) -> float | None:
    """The number a value was only multiplied by, where nobody else reads it."""
    before = work.last(value)
    if not isinstance(before, Pointwise) or before.kind or before.shift or before.activation.kind or not before.scale:
        return None
    numbers = np.asarray(work.lowered.constants[before.scale].numpy()).reshape(-1)
    return float(numbers[0]) if np.isfinite(numbers[0]) and (numbers == numbers[0]).all() else None


def _along(work: Lowering, value: ir.Value | None, axis: int) -> View | None:
    """A view of the value with one dimension, and no other, as channels of its map."""
    view = work.view(value)
    if view is None or not view.dims:
        return None
    axis %= len(view.dims)
    if view.covers(work.lowered.shapes[view.held]) and view.only(axis, CHANNEL):
        return view
    if axis == len(view.dims) - 1:
        return work.rows(value)
    others = [d for d in range(len(view.dims)) if d != axis]
    axes = {axis: CHANNEL, **dict.fromkeys(others[:-1], IMAGE), others[-1]: COLUMN}
    return work.arranged(view, tuple(axes[d] for d in range(len(view.dims))))


def _version(node: ir.Node) -> int:
    """The operator set a node is of."""
    graph = node.graph
    return int(node.version or (graph.opset_imports.get("", 0) if graph is not None else 0))


TAKES: Mapping[str, Take] = {
    "GroupNormalization": _group,
    "InstanceNormalization": _group,
    "LRN": _local_response,
    "LayerNormalization": _layer,
    "LogSoftmax": _softmax,
    "LpNormalization": _lp,
    "RMSNormalization": _layer,
    "Softmax": _softmax,
}
