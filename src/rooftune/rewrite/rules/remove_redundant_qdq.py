"""Quantising again what was quantised the same way is left out."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.quantisation import dequantized, quantisation
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

QUANTIZE = frozenset({("", "QuantizeLinear"), ("com.microsoft", "QuantizeLinear")})


class RemoveRedundantQdq(Rule):
    """Replace QuantizeLinear(DequantizeLinear(q)) by q where scale, zero point, type and axis are equal.

    That also makes DequantizeLinear(QuantizeLinear(DequantizeLinear(QuantizeLinear(x)))) one pair. Where the scales
    differ, numbers are rounded again, which nothing shorter does.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return QUANTIZE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        before = dequantized(node.inputs[0])
        if before is None:
            return None
        rank = rank_of(node.inputs[0])
        first, second = quantisation(before, rank), quantisation(node, rank)
        if first is None or second is None:
            return None
        if not first.agrees(second):
            return Refusal("the numbers are quantised anew with another scale, zero point or type")
        return Match(node, {"x": before.inputs[0]}, (node, before))

    def replace(self, m: Match, new: Builder) -> Replacement:
        x: ir.Value = m.x
        return x

    examples = (
        Example(
            "equal parameters",
            """(uint8[2,3] x) => (float[2,3] y) <float s = {0.1}, uint8 z = {7}>
            { d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) y = DequantizeLinear(q, s, z) }""",
            "y = DequantizeLinear(x, #, #)",
        ),
        Example(
            "two pairs",
            """(float[2,3] x) => (float[2,3] y) <float s = {0.1}, int8 z = {0}, float[1] t = {0.1}, int8[1] u = {0}>
            { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
              r = QuantizeLinear(d, t, u) y = DequantizeLinear(r, s, z) }""",
            """q = QuantizeLinear(x, #, #)
            y = DequantizeLinear(q, #, #)""",
            opset=10,
        ),
        Example(
            "zero point left out",
            """(float[2,3] x) => (float[2,3] y) <float s = {0.1}, uint8 z = {0}>
            { q = QuantizeLinear(x, s) d = DequantizeLinear(q, s, z) r = QuantizeLinear(d, s)
              y = DequantizeLinear(r, s, z) }""",
            """q = QuantizeLinear(x, #)
            y = DequantizeLinear(q, #, #)""",
        ),
        Example(
            "per channel",
            """(int8[2,3,4] x) => (float[2,3,4] y) <float[3] var_s, int8[3] z = {0, 1, 2}>
            { d = DequantizeLinear<axis=1>(x, var_s, z) q = QuantizeLinear<axis=-2>(d, var_s, z)
              y = DequantizeLinear(q, var_s, z) }""",
            "y = DequantizeLinear(x, #, #)",
            opset=13,
        ),
        Example(
            "another scale",
            """(uint8[2,3] x) => (uint8[2,3] y) <float s = {0.1}, float t = {0.2}, uint8 z = {7}>
            { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, t, z) }""",
            refused="another scale",
        ),
        Example(
            "another zero point",
            """(uint8[2,3] x) => (uint8[2,3] y) <float s = {0.1}, uint8 z = {7}, uint8 u = {8}>
            { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, u) }""",
            refused="another scale, zero point",
        ),
    )
