"""The larger of a value and zero is its Relu."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.bounds import bounds_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceMaxByRelu(Rule):
    """Replace the maximum of a value and zero by Relu, which engines fuse."""

    pattern = "Max(_, _)"
    exactness = Exactness.REASSOCIATES
    """Bitwise but for -0, of which Max makes +0 in some engines."""

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = bounds_of(node) if node.op_type == "Max" and computes_in_floats(node, halves=True) else None
        return Match(node, {"x": found[0]}, (node,)) if found is not None and found[1][0] == 0 else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Relu(m.x)

    examples = (
        Example("scalar", "(float[2,3] x) => (float[2,3] y) <float zero = {0.0}> { y = Max(x, zero) }", "y = Relu(x)"),
        Example(
            "of shape [1], first",
            "(double[N,3] x) => (double[N,3] y) <double[1] zero = {0.0}> { y = Max(zero, x) }",
            "y = Relu(x)",
            opset=8,
        ),
    )
