"""A Sum of one or two operands is the operand or an Add."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness


class ReplaceSumByAdd(Rule):
    """Replace a Sum of two operands by an Add, and take a Sum of one away."""

    pattern = ("Sum(a)", "Sum(a, b)")
    exactness = Exactness.BITWISE

    def replace(self, m: Match, new: Builder) -> Replacement:
        if m.found.get("b") is None:
            return m.a  # type: ignore[no-any-return]
        return new.Add(m.a, m.b)

    examples = (
        Example("two", "(float[2,3] x, float[3] z) => (float[2,3] y) { y = Sum(x, z) }", "y = Add(x, z)"),
        Example(
            "one",
            "(float[2,3] x) => (float[2,3] y) { r = Relu(x) s = Sum(r) y = Exp(s) }",
            "r = Relu(x)\ny = Exp(r)",
        ),
        Example(
            "one, old operator set",
            "(float[2,3] x) => (float[2,3] y) { s = Sum(x, x) y = Exp(s) }",
            "s = Add(x, x)\ny = Exp(s)",
            opset=7,
        ),
    )
