"""An operator behind one that has done its work already."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness


class RemoveRepeatedOperator(Rule):
    """Remove an operator whose input has the wanted property already, such as the second of two Relu."""

    pattern = (
        "Abs(inner=&Abs|Relu|Exp|Sigmoid|Softmax|Sqrt|Softplus(_))",
        "Relu(inner=&Relu|Abs|Exp|Sigmoid|Softmax|Sqrt|Softplus(_))",
        "Ceil|Floor|Round(inner=&Ceil|Floor|Round|Sign(_))",
        "Sign(inner=&Sign(_))",
    )
    exactness = Exactness.REASSOCIATES
    """Bitwise but for the sign of zeros and of NaN."""

    def replace(self, m: Match, new: Builder) -> Replacement:
        return [m.inner.outputs[0]]

    examples = (
        Example(
            "relu",
            "(float[2] x) => (float[2] y) { a = Relu(x) b = Relu(a) y = Exp(b) }",
            "a = Relu(x)\ny = Exp(a)",
        ),
        Example(
            "the model's output",
            "(float[2] x) => (float[2] y) { a = Sigmoid(x) y = Abs(a) }",
            "y = Sigmoid(x)",
            opset=7,
        ),
        Example(
            "whole numbers already, with another reader",
            "(float[2] x) => (float[2] y, float[2] z) { a = Floor(x) b = Ceil(a) y = Exp(b) z = Exp(a) }",
            "a = Floor(x)\ny = Exp(a)\nz = Exp(a)",
        ),
        Example(
            "two outputs",
            "(float[2] x) => (float[2] y, float[2] z) { y = Abs(x) z = Abs(y) }",
            refused="cannot take its name",
        ),
    )
