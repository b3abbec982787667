"""An activation that only clips what quantisation clips anyway is left out."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.piecewise import bounds
from rooftune.rewrite.polynomial import made_by, read_only_by
from rooftune.rewrite.quantisation import QUANTISED_TYPES, quantisation
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class RemoveReluBeforeQuantize(Rule):
    """Remove a Relu or Clip before a QuantizeLinear whose smallest and largest integer lie within its bounds.

    With a zero point at the lower end of the type, QuantizeLinear makes every negative number zero. ONNX Runtime and
    OpenVINO do this themselves; nodes fall, time does not.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "QuantizeLinear"), ("com.microsoft", "QuantizeLinear")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        clip = made_by(node.inputs[0], "Relu", "Clip")
        ends = None if clip is None else bounds(clip)
        kind = quantisation(node, rank_of(node.inputs[0]))
        if clip is None or ends is None or kind is None or clip.inputs[0] is None or not ends[0] <= ends[1]:
            return None
        lowest, highest = QUANTISED_TYPES[kind.dtype]
        if (kind.quantized(ends[0]) != lowest).any() or (kind.quantized(ends[1]) != highest).any():
            return Refusal(f"{clip.op_type} clips numbers that the quantised type can hold")
        nodes = (node, clip)
        return read_only_by(nodes) or Match(node, {"x": clip.inputs[0]}, nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("QuantizeLinear", [m.x, *m.root.inputs[1:]], like=m.root, domain=m.root.domain)[0]

    examples = (
        Example(
            "Relu, zero point 0",
            """(float[2,3] x) => (uint8[2,3] y) <float s = {0.1}, uint8 z = {0}>
            { r = Relu(x) y = QuantizeLinear(r, s, z) }""",
            "y = QuantizeLinear(x, #, #)",
        ),
        Example(
            "Relu, signed, per channel",
            """(float[2,3] x) => (int8[2,3] y) <float[3] var_s, int8[3] z = {-128, -128, -128}>
            { r = Relu(x) y = QuantizeLinear<axis=1>(r, var_s, z) }""",
            "y = QuantizeLinear<axis=1>(x, #, #)",
            opset=13,
        ),
        Example(
            "Relu6 with its scale",
            """(float[2,3] x) => (uint8[2,3] y)
            <float low = {0.0}, float high = {6.0}, float s = {0.0235}, uint8 z = {0}>
            { r = Clip(x, low, high) y = QuantizeLinear(r, s, z) }""",
            "y = QuantizeLinear(x, #, #)",
        ),
        Example(
            "Relu6 that clips more",
            """(float[2,3] x) => (uint8[2,3] y) <float low = {0.0}, float high = {6.0}, float s = {0.1}, uint8 z = {0}>
            { r = Clip(x, low, high) y = QuantizeLinear(r, s, z) }""",
            refused="can hold",
        ),
        Example(
            "negative numbers have integers",
            """(float[2,3] x) => (int8[2,3] y) <float s = {0.1}, int8 z = {0}>
            { r = Relu(x) y = QuantizeLinear(r, s, z) }""",
            refused="can hold",
        ),
        Example(
            "Relu is an output",
            """(float[2,3] x) => (uint8[2,3] y, float[2,3] r) <float s = {0.1}, uint8 z = {0}>
            { r = Relu(x) y = QuantizeLinear(r, s, z) }""",
            refused="output of the graph",
        ),
    )
