"""A negation is cancelled or becomes part of its neighbour."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_exactly, computes_in_floats, keeps_shape, known, only_number
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FoldNegation(Rule):
    """Cancel a negation with another one, or make it part of the addition, subtraction or product next to it."""

    pattern = (
        "Neg(inner=&Neg(x))",
        "Not(inner=&Not(x))",
        "Neg(inner=Sub(x, y))",
        "Neg(inner=Mul(x, $c))",
        "Add(x, inner=Neg(y))",
        "Sub(x, inner=Neg(y))",
        "Mul(inner=Neg(x), $c)",
        "Sub($zero, x)",
    )
    exactness = Exactness.REASSOCIATES
    """Bitwise but for the sign of zeros: 0 - 0 is +0, and -(0) is -0."""

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match):
            return found if _may_speak(node) else None
        if "zero" in found.found:
            zero = only_number(found.zero)
            if zero is None or zero != 0 or not keeps_shape(found.zero, found.x):
                return None
        if "c" in found.found and known(found.c) is None:
            return None
        return found if node.op_type == "Not" or _may_speak(node) else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        if "zero" in m.found:
            return new.Neg(m.x)
        if "c" in m.found:
            return new.Mul(m.x, new.derive(np.negative, m.c, exact=True))
        if "y" not in m.found:
            return [m.x]
        if m.root.op_type == "Neg":
            return new.Sub(m.y, m.x)
        return new.Sub(m.x, m.y) if m.root.op_type == "Add" else new.Add(m.x, m.y)

    examples = (
        Example(
            "twice",
            "(float[2] x) => (float[2] y) { a = Relu(x) b = Neg(a) c = Neg(b) y = Abs(c) }",
            "a = Relu(x)\ny = Abs(a)",
        ),
        Example(
            "twice, the first with another reader",
            "(float[2] x) => (float[2] y, float[2] z) { a = Relu(x) z = Neg(a) c = Neg(z) y = Abs(c) }",
            "a = Relu(x)\nz = Neg(a)\ny = Abs(a)",
        ),
        Example(
            "not not",
            "(bool[2] x, bool[2] z) => (bool[2] y) { b = Not(x) c = Not(b) y = And(c, z) }",
            "y = And(x, z)",
        ),
        Example(
            "of a difference",
            "(float[2] a, float[2] b) => (float[2] y) { d = Sub(a, b) y = Neg(d) }",
            "y = Sub(b, a)",
        ),
        Example(
            "of a product",
            "(float[2] x) => (float[2] y) <float c = {3.0}> { d = Mul(c, x) y = Neg(d) }",
            "y = Mul(x, #)",
        ),
        Example(
            "in a product",
            "(float[2] x) => (float[2] y) <float c = {3.0}> { d = Neg(x) y = Mul(d, c) }",
            "y = Mul(x, #)",
        ),
        Example(
            "added",
            "(int64[2] a, int64[2,2] b) => (int64[2,2] y) { d = Neg(b) y = Add(d, a) }",
            "y = Sub(a, b)",
        ),
        Example(
            "subtracted",
            "(float[2] a, float[2,2] b) => (float[2,2] y) { d = Neg(b) y = Sub(a, d) }",
            "y = Add(a, b)",
        ),
        Example(
            "from zero",
            "(float[2,2] x) => (float[2,2] y) <float[1] zero = {0.0}> { y = Sub(zero, x) }",
            "y = Neg(x)",
        ),
        Example(
            "another reader",
            "(float[2] a, float[2] b) => (float[2] y, float[2] z) { d = Sub(a, b) y = Neg(d) z = Relu(d) }",
            refused="another reader",
        ),
    )


def _may_speak(node: ir.Node) -> bool:
    return computes_in_floats(node, halves=True) or computes_exactly(node)
