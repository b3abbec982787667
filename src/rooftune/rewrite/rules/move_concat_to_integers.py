"""A concatenation runs on the quantised integers instead of on the numbers they stand for."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.polynomial import made_by, read_only_by
from rooftune.rewrite.quantisation import dequantized, quantisation
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class MoveConcatToIntegers(Rule):
    """Run a Concat on integers where all its inputs and its output are quantised alike.

    ONNX Runtime has an operator of its own for the whole group; it runs the standard one as fast.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "QuantizeLinear"), ("com.microsoft", "QuantizeLinear")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        concat = made_by(node.inputs[0], "Concat")
        behind = None if concat is None else quantisation(node, rank_of(node.inputs[0]))
        if concat is None or behind is None:
            return None
        integers = []
        for value in concat.inputs:
            before = dequantized(value)
            kind = None if before is None else quantisation(before, rank_of(value))
            if before is None or kind is None:
                return None
            if kind.axis is not None or not kind.agrees(behind):
                return Refusal("the concatenated tensors are quantised with several scales", concat.name or "")
            integers.append(before.inputs[0])
        nodes = (node, concat)
        return read_only_by(nodes) or Match(node, {"integers": integers, "concat": concat}, nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Concat", m.integers, like=m.concat)[0]

    examples = (
        Example(
            "one scale for all",
            """(uint8[2,3] a, uint8[2,3] b) => (uint8[2,6] y) <float s = {0.1}, uint8 z = {7}>
            { c = DequantizeLinear(a, s, z) d = DequantizeLinear(b, s, z) t = Concat<axis=1>(c, d)
              y = QuantizeLinear(t, s, z) }""",
            "y = Concat<axis=1>(a, b)",
        ),
        Example(
            "the same tensor twice",
            """(int8[2,3] a) => (int8[4,3] y) <float s = {0.1}, int8 z = {7}>
            { c = DequantizeLinear(a, s, z) t = Concat<axis=0>(c, c) y = QuantizeLinear(t, s, z) }""",
            "y = Concat<axis=0>(a, a)",
            opset=10,
        ),
        Example(
            "two scales",
            """(uint8[2,3] a, uint8[2,3] b) => (uint8[2,6] y) <float s = {0.1}, float r = {0.2}, uint8 z = {7}>
            { c = DequantizeLinear(a, s, z) d = DequantizeLinear(b, r, z) t = Concat<axis=1>(c, d)
              y = QuantizeLinear(t, s, z) }""",
            refused="several scales",
        ),
    )
