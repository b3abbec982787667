"""An activation that clips nothing a quantised tensor can hold is left out."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.piecewise import bounds
from rooftune.rewrite.quantisation import QUANTISED_TYPES, dequantized, quantisation
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness


class RemoveReluAfterDequantize(Rule):
    """Remove a Relu or Clip behind a DequantizeLinear that gives no number outside its bounds.

    Where the quantised type holds numbers that are clipped, the activation does its work and stays.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Relu"), ("", "Clip")})

    def find(self, node: ir.Node) -> Match | None:
        before = dequantized(node.inputs[0])
        ends = None if before is None else bounds(node)
        kind = None if before is None else quantisation(before, rank_of(node.inputs[0]))
        if before is None or ends is None or kind is None:
            return None
        lowest, highest = QUANTISED_TYPES[kind.dtype]
        smallest = (lowest - kind.zero).astype(np.float32) * kind.scale
        largest = (highest - kind.zero).astype(np.float32) * kind.scale
        if (smallest < np.float32(ends[0])).any() or (largest > np.float32(ends[1])).any():
            return None
        return Match(node, {"x": node.inputs[0]}, (node,))

    def replace(self, m: Match, new: Builder) -> Replacement:
        x: ir.Value = m.x
        return x

    examples = (
        Example(
            "Relu, zero point 0",
            """(uint8[2,3] x) => (float[2,3] y) <float s = {0.1}, uint8 z = {0}>
            { d = DequantizeLinear(x, s, z) y = Relu(d) }""",
            "y = DequantizeLinear(x, #, #)",
        ),
        Example(
            "Relu6 of numbers up to 5.1",
            """(int8[2,3] x) => (float[2,3] y)
            <float s = {0.02}, int8 z = {-128}, float low = {0.0}, float high = {6.0}>
            { d = DequantizeLinear(x, s, z) y = Clip(d, low, high) }""",
            "y = DequantizeLinear(x, #, #)",
        ),
    )
