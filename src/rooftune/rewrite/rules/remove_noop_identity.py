"""Operators that hand their only input on."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness


class RemoveNoopIdentity(Rule):
    """Remove an Identity, or the Max, Min, Sum or Mean of a single value."""

    pattern = "Identity|Max|Min|Sum|Mean(x)"
    exactness = Exactness.BITWISE

    def replace(self, m: Match, new: Builder) -> Replacement:
        return [m.x]

    examples = (
        Example("inside", "(float[2] x) => (float[2] y) { a = Identity(x) y = Relu(a) }", "y = Relu(x)", opset=7),
        Example("at the end", "(float[2] x) => (float[2] y) { a = Relu(x) y = Identity(a) }", "y = Relu(x)"),
        Example("sum of one", "(float[2] x) => (float[2] y) { a = Sum(x) y = Relu(a) }", "y = Relu(x)", opset=8),
        Example(
            "between input and output",
            "(float[2] x) => (float[2] y) { y = Identity(x) }",
            refused="cannot take its name",
        ),
        Example(
            "one value for two outputs",
            "(float[2] x) => (float[2] y, float[2] z) { y = Relu(x) z = Identity(y) }",
            refused="cannot take its name",
        ),
    )
