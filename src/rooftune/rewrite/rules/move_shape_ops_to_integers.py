"""Operators that only move elements run on the quantised integers instead of on the numbers they stand for."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import permutation, rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.polynomial import read_only_by
from rooftune.rewrite.quantisation import dequantized, quantisation
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

MOVES = frozenset(
    "Reshape Transpose Squeeze Unsqueeze Flatten Slice Gather Expand Tile DepthToSpace SpaceToDepth Identity".split()
)
LONGEST = 8
EIGHT_BITS = (ir.DataType.INT8, ir.DataType.UINT8)
EIGHT_BITS_ONLY = frozenset({"DepthToSpace", "MaxPool", "Resize", "SpaceToDepth"})
"""Operators whose ONNX Runtime kernels take no integers of 16 bits; two of them none at all in older operator sets."""


class MoveShapeOpsToIntegers(Rule):
    """Run Reshape, Transpose, Slice, MaxPool and their like on integers where the same quantisation stands around.

    DequantizeLinear, operators, QuantizeLinear with equal parameters become the operators alone. Scales per channel
    pass a Transpose only. ONNX Runtime does this itself; OpenVINO does too, but for a Transpose, which runs faster
    afterwards.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "QuantizeLinear"), ("com.microsoft", "QuantizeLinear")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        inside: list[ir.Node] = []
        value = node.inputs[0]
        while len(inside) < LONGEST and dequantized(value) is None:
            maker = None if value is None or value.index() != 0 else value.producer()
            if maker is None or not _moves(maker):
                return None
            inside.append(maker)
            value = maker.inputs[0]
        before = dequantized(value)
        if before is None or not inside:
            return None
        first, second = quantisation(before, rank_of(value)), quantisation(node, rank_of(node.inputs[0]))
        if first is None or second is None:
            return None
        if first.dtype not in EIGHT_BITS and any(n.op_type in EIGHT_BITS_ONLY for n in inside):
            return None
        if first.axis is not None:
            axis = _axis_behind(first.axis, inside[::-1])
            if axis is None:
                return Refusal("scales per channel pass no operator but Transpose", inside[0].name or "")
            first = first.turned(axis)
        if not first.agrees(second):
            return None
        nodes = (node, *inside)
        return read_only_by(nodes) or Match(node, {"x": before.inputs[0], "inside": inside}, nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        late = next((n for n in m.inside if n.op_type in ("MaxPool", "DepthToSpace")), None)
        if late is not None and new.opset < 13:
            return Refusal(f"before operator set 13 {late.op_type} takes no integers", late.name or "")
        value: ir.Value = m.x
        for node in reversed(m.inside):
            value = new.node(node.op_type, [value, *node.inputs[1:]], like=node)[0]
        return value

    examples = (
        Example(
            "transpose",
            """(uint8[2,3,4] x) => (uint8[2,4,3] y) <float s = {0.1}, uint8 z = {7}>
            { d = DequantizeLinear(x, s, z) t = Transpose<perm=[0,2,1]>(d) y = QuantizeLinear(t, s, z) }""",
            "y = Transpose<perm=[0,2,1]>(x)",
        ),
        Example(
            "several operators",
            """(int8[2,3,4] x) => (int8[4,6,1] y)
            <float s = {0.1}, int8 z = {7}, int64[2] shape = {6, 4}, int64[1] axes = {2}>
            { d = DequantizeLinear(x, s, z) r = Reshape(d, shape) t = Transpose(r) u = Unsqueeze(t, axes)
              y = QuantizeLinear(u, s, z) }""",
            """v1 = Reshape(x, #)
            v2 = Transpose(v1)
            y = Unsqueeze(v2, #)""",
            opset=13,
        ),
        Example(
            "largest of a window",
            """(uint8[1,2,6,6] x) => (uint8[1,2,3,3] y) <float s = {0.1}, uint8 z = {7}>
            { d = DequantizeLinear(x, s, z) t = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(d)
              y = QuantizeLinear(t, s, z) }""",
            "y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x)",
        ),
        Example(
            "old operator set",
            """(uint8[1,2,6,6] x) => (uint8[1,2,3,3] y) <float s = {0.1}, uint8 z = {7}>
            { d = DequantizeLinear(x, s, z) t = MaxPool<kernel_shape=[2,2], strides=[2,2]>(d)
              y = QuantizeLinear(t, s, z) }""",
            refused="takes no integers",
            opset=10,
        ),
        Example(
            "scales per channel through a transpose; the numbers are read elsewhere",
            """(int8[2,3,4] x) => (int8[4,2,3] y, float[2,3,4] e) <float[3] var_s, int8[3] z = {0, 1, 2}>
            { d = DequantizeLinear<axis=1>(x, var_s, z) t = Transpose<perm=[2,0,1]>(d)
              y = QuantizeLinear<axis=2>(t, var_s, z) e = Exp(d) }""",
            """d = DequantizeLinear<axis=1>(x, #, #)
            y = Transpose<perm=[2,0,1]>(x)
            e = Exp(d)""",
        ),
        Example(
            "scales per channel cannot be reshaped",
            """(int8[2,3,4] x) => (int8[6,4] y) <float[4] var_s, int8[4] z, int64[2] shape = {6, 4}>
            { d = DequantizeLinear<axis=2>(x, var_s, z) t = Reshape(d, shape)
              y = QuantizeLinear<axis=1>(t, var_s, z) }""",
            refused="no operator but Transpose",
        ),
        Example(
            "the moved numbers have another reader",
            """(uint8[2,3] x) => (uint8[3,2] y, float[3,2] e) <float s = {0.1}, uint8 z = {7}>
            { d = DequantizeLinear(x, s, z) t = Transpose(d) y = QuantizeLinear(t, s, z) e = Exp(t) }""",
            refused="another reader",
        ),
    )


def _moves(node: ir.Node) -> bool:
    """True for an operator that gives elements of its first input and nothing else, or the largest of some."""
    if node.domain != "" or not node.inputs or node.inputs[0] is None:
        return False
    if node.op_type == "MaxPool":
        return not any(v.uses() or v.is_graph_output() for v in node.outputs[1:])
    if node.op_type == "Resize":
        cropped = attribute(node, "coordinate_transformation_mode") == "tf_crop_and_resize"
        return bool(attribute(node, "mode", "nearest") == "nearest") and not cropped
    return node.op_type in MOVES


def _axis_behind(axis: int, nodes: list[ir.Node]) -> int | None:
    """Where an axis lies behind transposes; None where there is another operator."""
    for node in nodes:
        order = permutation(node) if node.op_type == "Transpose" else None
        if order is None:
            return None
        axis = order.index(axis)
    return axis
