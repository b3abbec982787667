"""One divided by something is its reciprocal."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats, keeps_shape, only_number
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceDivByReciprocal(Rule):
    """Replace one divided by a value by the value's reciprocal."""

    pattern = "Div($one, x)"
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or is_constant(found.x) or not computes_in_floats(node, halves=True):
            return None
        number = only_number(found.one)
        return found if number is not None and number == 1 and keeps_shape(found.one, found.x) else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Reciprocal(m.x)

    examples = (
        Example(
            "reciprocal square root",
            "(float[2,3] x) => (float[2,3] y) <float one = {1.0}> { a = Exp(x) b = Sqrt(a) y = Div(one, b) }",
            "a = Exp(x)\nb = Sqrt(a)\ny = Reciprocal(b)",
        ),
        Example(
            "ones of shape [1]",
            "(double[N,3] x) => (double[N,3] y) <double[1] one = {1.0}> { y = Div(one, x) }",
            "y = Reciprocal(x)",
            opset=7,
        ),
    )
