"""Permutations of channels: which nodes let them through, which take them into their weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of, constant_tensor, is_constant
from rooftune.rewrite.axes import axes_of, permutation
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import attribute, label_of
from rooftune.rewrite.movable import FIRST_INPUT, ONE_INPUT
from rooftune.rewrite.views import dims_of, only_reader, producer_of

__all__ = ["Shuffle", "behind", "channelwise", "dense", "permuted_channelwise", "permuted_inputs", "permuted_outputs"]
__all__ += ["shuffle_at", "why_no_absorber", "why_no_maker"]

Order = NDArray[np.int64]

POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool"})
ARITHMETIC = frozenset({"Add", "Div", "Mul", "PRelu", "Sub"})
SPATIAL_REDUCTIONS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})
CONVOLUTIONS = ("Conv", "ConvTranspose")
MAX_CHAIN = 100
"""Nodes a permutation is carried through on its way to a convolution."""


@dataclass(frozen=True)
class Shuffle:
    """Reshape - Transpose - Reshape that deals out the channels of `groups` like cards: y[k] = x[order[k]]."""

    x: ir.Value
    groups: int
    order: Order
    nodes: tuple[ir.Node, ...]


def shuffle_at(node: ir.Node) -> Shuffle | None:
    """The channel shuffle that ends in this Reshape."""
    transpose = producer_of(node.inputs[0], "Transpose")
    first = None if transpose is None else producer_of(transpose.inputs[0], "Reshape")
    if transpose is None or first is None or first.inputs[0] is None:
        return None
    x = first.inputs[0]
    before, apart, after = dims_of(x), dims_of(first.outputs[0]), dims_of(node.outputs[0])
    if before is None or apart is None or after != before or len(before) < 2 or len(apart) != len(before) + 1:
        return None
    if permutation(transpose) != (0, 2, 1, *range(3, len(apart))) or not only_reader(first.outputs[0]):
        return None
    groups, each = apart[1:3]
    if not isinstance(groups, int) or not isinstance(each, int) or groups * each != before[1]:
        return None
    if apart[0] != before[0] or apart[3:] != before[2:] or not only_reader(transpose.outputs[0]):
        return None
    order = np.arange(groups * each, dtype=np.int64).reshape(groups, each).T.reshape(-1)
    return Shuffle(x, groups, order, (node, transpose, first))


def dense(node: ir.Node) -> bool:
    """True for a convolution with constant weights in which every output channel reads every input channel."""
    weighted = node.domain == "" and node.op_type in CONVOLUTIONS and is_constant(node.inputs[1])
    biased = weighted and len(node.inputs) > 2 and node.inputs[2] is not None
    return weighted and attribute(node, "group", 1) == 1 and (not biased or is_constant(node.inputs[2]))


def channelwise(node: ir.Node) -> int | None:
    """Which input goes through the node channel by channel, on axis 1, the others being constants; None for none."""
    op, inputs = node.op_type, node.inputs
    if node.domain != "" or not inputs or inputs[0] is None:
        return None
    if (op in ONE_INPUT and len(inputs) == 1) or (op in POOLS and _sole_output(node)):
        return 0
    if op in FIRST_INPUT and op != "Dropout":
        return 0 if all(v is None or dims_of(v) == () for v in inputs[1:]) else None
    if op == "BatchNormalization":
        constant = all(constant_of(v) is not None for v in inputs[1:5])
        return 0 if constant and _sole_output(node) and not attribute(node, "training_mode", 0) else None
    if op == "Conv":
        return 0 if _depthwise(node) else None
    if op in SPATIAL_REDUCTIONS:
        axes = axes_of(node)
        return 0 if axes and min(axes) > 1 and attribute(node, "keepdims", 1) else None
    if op == "Pad" and len(inputs) < 4:
        pads = attribute(node, "pads") if len(inputs) < 2 else constant_of(inputs[1])
        rank = len(dims_of(inputs[0]) or ())
        return 0 if pads is not None and len(pads) == 2 * rank and not pads[1] and not pads[rank + 1] else None
    if op in ARITHMETIC:
        return _arithmetic(node)
    return None


def _sole_output(node: ir.Node) -> bool:
    return not any(v.uses() or v.is_graph_output() for v in node.outputs[1:])


def _depthwise(conv: ir.Node) -> bool:
    tensor, dims = constant_tensor(conv.inputs[1]), dims_of(conv.inputs[0])
    group = attribute(conv, "group", 1)
    if tensor is None or dims is None or group == 1:
        return False
    biased = len(conv.inputs) > 2 and conv.inputs[2] is not None
    return bool(dims[1] == group == tensor.shape[0]) and (not biased or is_constant(conv.inputs[2]))


def _arithmetic(node: ir.Node) -> int | None:
    """The input whose shape the output has, where the other is one number, or one per channel."""
    data = 1 if is_constant(node.inputs[0]) and node.op_type != "PRelu" else 0
    dims, other = dims_of(node.inputs[data]), node.inputs[1 - data]
    small = dims_of(other)
    if dims is None or small is None or not is_constant(other) or len(small) > len(dims):
        return None
    full = (1,) * (len(dims) - len(small)) + small
    return data if all(d == 1 for i, d in enumerate(full) if i != 1) and full[1] in (1, dims[1]) else None


def behind(value: ir.Value) -> tuple[list[ir.Node], ir.Value]:
    """The nodes through which channels have come one by one, last first, as long as nobody else reads them."""
    found = []
    while (node := value.producer()) is not None and value.index() == 0:
        place = channelwise(node)
        before = None if place is None else node.inputs[place]
        if before is None or not only_reader(value):
            break
        found.append(node)
        value = before
    return found, value


def why_no_absorber(value: ir.Value, inside: Collection[int] = ()) -> str | None:
    """Why the weights behind a value cannot take a permutation of its channels; None where all of them can.

    inside  ids of readers that do not count
    """
    waiting, passed = [value], 0
    while waiting:
        value = waiting.pop()
        if value.is_graph_output():
            return f"{value.name} is an output of the graph"
        for node, place in value.uses():
            if id(node) in inside or (place == 0 and dense(node)):
                continue
            if channelwise(node) != place:
                return _why_not(node)
            if not only_reader(node.outputs[0]):
                return f"the output of {label_of(node)} has several readers"
            waiting.append(node.outputs[0])
            passed += 1
            if passed > MAX_CHAIN:
                return f"more than {MAX_CHAIN} nodes follow before a convolution"
    return None


def _why_not(node: ir.Node) -> str:
    if node.op_type == "Split":
        return f"a Split follows ({label_of(node)}), whose parts take channels of all groups"
    if node.op_type in CONVOLUTIONS:
        return f"a grouped convolution follows ({label_of(node)}), whose groups take channels of all groups"
    return f"{node.op_type} follows ({label_of(node)}), which needs the channels in their order"


def why_no_maker(value: ir.Value) -> str | None:
    """Why the weights before a value cannot take a permutation of its channels; None where they can."""
    _, source = behind(value)
    node = source.producer()
    if not only_reader(source):
        return f"{source.name} before it has several readers"
    if node is None:
        return f"{source.name} before it comes from outside"
    if dense(node):
        return None
    if node.op_type == "Concat":
        return f"a Concat comes before it ({label_of(node)}), whose parts it mixes"
    if node.op_type in CONVOLUTIONS:
        return f"a grouped convolution comes before it ({label_of(node)}), whose groups it mixes"
    return f"{node.op_type} comes before it ({label_of(node)})"


def permuted_channelwise(node: ir.Node, x: ir.Value, order: Order, new: Builder) -> ir.Value:
    """The node on channels in another order: parameters k of the new one are parameters order[k] of the old one."""
    data = channelwise(node)
    assert data is not None
    inputs: list[ir.Value | None] = list(node.inputs)
    rank = len(dims_of(inputs[data]) or ())
    for place, value in enumerate(inputs):
        dims = dims_of(value)
        if place == data:
            inputs[place] = x
        elif value is not None and dims and is_constant(value) and node.op_type in _PER_CHANNEL:
            axis = 0 if node.op_type not in ARITHMETIC else len(dims) - (rank - 1)
            if 0 <= axis < len(dims) and dims[axis] == len(order):
                inputs[place] = _taken(new, value, order, axis)
    return new.node(node.op_type, inputs, like=node)[0]


_PER_CHANNEL = ARITHMETIC | {"BatchNormalization", "Conv"}


def permuted_inputs(conv: ir.Node, x: ir.Value, order: Order, new: Builder) -> ir.Value:
    """A dense convolution that reads channels in another order."""
    weight = _taken(new, conv.inputs[1], order, 1 if conv.op_type == "Conv" else 0)
    return new.node(conv.op_type, [x, weight, *conv.inputs[2:]], like=conv)[0]


def permuted_outputs(conv: ir.Node, order: Order, new: Builder) -> ir.Value:
    """A dense convolution that gives channels in another order."""
    inputs = [conv.inputs[0], _taken(new, conv.inputs[1], order, 0 if conv.op_type == "Conv" else 1)]
    if len(conv.inputs) > 2 and conv.inputs[2] is not None:
        inputs.append(_taken(new, conv.inputs[2], order, 0))
    return new.node(conv.op_type, inputs, like=conv)[0]


def _taken(new: Builder, weight: Any, order: Order, axis: int) -> ir.Value:
    return new.derive(lambda w: np.take(w, order, axis), weight, exact=True)
