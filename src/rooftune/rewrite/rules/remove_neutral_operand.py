"""Additions of zero, products with one and the like."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import keeps_shape, only_number
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class RemoveNeutralOperand(Rule):
    """Remove an operation with a constant that changes nothing: x·1, x/1, x+0, x-0, x^1, x and true, x or false."""

    pattern = ("Add|Mul|And|Or|Xor(x, $c)", "Sub|Div|Pow(x, $c)")
    exactness = Exactness.REASSOCIATES
    """Bitwise but for one case: -0 + 0 is +0."""

    NEUTRAL: ClassVar[dict[str, int]] = {
        "Add": 0, "Sub": 0, "Mul": 1, "Div": 1, "Pow": 1, "And": 1, "Or": 0, "Xor": 0,
    }  # fmt: skip

    def find(self, node: ir.Node) -> Match | Refusal | None:
        for pattern in self.patterns:
            for x, c in _operands(pattern.commutes, node):
                number = only_number(c) if (node.domain, node.op_type) in pattern.ops else None
                if number is not None and number == self.NEUTRAL[node.op_type] and keeps_shape(c, x):
                    return Match(node, {"x": x, "c": c}, (node,))
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return [m.x]

    examples = (
        Example(
            "times one",
            "(float[2,3] x) => (float[2,3] y) <float c = {1.0}> { a = Mul(c, x) y = Relu(a) }",
            "y = Relu(x)",
        ),
        Example(
            "plus zeros",
            "(float[N,3] x) => (float[N,3] y) <float[1,3] c = {0.0, 0.0, 0.0}> { a = Add(x, c) y = Relu(a) }",
            "y = Relu(x)",
        ),
        Example(
            "whole numbers",
            "(int64[2] x) => (int64[2] y) <int64[1] c = {0}> { a = Sub(x, c) y = Abs(a) }",
            "y = Abs(x)",
        ),
        Example(
            "over one",
            "(float[2] x) => (float[2] y) <float[1] c = {1.0}> { a = Relu(x) y = Div(a, c) }",
            "y = Relu(x)",
            opset=7,
        ),
        Example(
            "to the power of one",
            "(float[2] x) => (float[2] y) <int32 c = {1}> { a = Relu(x) y = Pow(a, c) }",
            "y = Relu(x)",
        ),
        Example(
            "and true",
            "(bool[2] x) => (bool[2] y) <bool c = {1}> { a = Not(x) y = And(a, c) }",
            "y = Not(x)",
        ),
        Example(
            "between input and output",
            "(float[2] x) => (float[2] y) <float c = {0.0}> { y = Add(x, c) }",
            refused="cannot take its name",
        ),
    )


def _operands(commutes: bool, node: ir.Node) -> list[tuple[ir.Value, ir.Value]]:
    """The data operand and the one that may be neutral, in the orders that are possible."""
    first, second = node.inputs if len(node.inputs) == 2 else (None, None)
    if first is None or second is None:
        return []
    return [(first, second), (second, first)] if commutes else [(first, second)]
