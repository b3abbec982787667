"""A reciprocal becomes part of the product or division next to it."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats, refuse_rounded
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FoldReciprocal(Rule):
    """Make a reciprocal part of the product, division or reciprocal next to it: one operation, rounded once."""

    pattern = (
        "Reciprocal(inner=&Reciprocal(x))",
        "Reciprocal(inner=Div(x, y))",
        "Mul(x, inner=Reciprocal(y))",
        "Div(x, inner=Reciprocal(y))",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        return super().find(node) if computes_in_floats(node) else None

    def guard(self, m: Match) -> Refusal | None:
        return refuse_rounded(m.root)

    def replace(self, m: Match, new: Builder) -> Replacement:
        if "y" not in m.found:
            return [m.x]
        if m.root.op_type == "Reciprocal":
            return new.Div(m.y, m.x)
        return new.Div(m.x, m.y) if m.root.op_type == "Mul" else new.Mul(m.x, m.y)

    examples = (
        Example(
            "multiplied",
            "(float[2,3] x, float[3] y) => (float[2,3] z) { a = Exp(y) r = Reciprocal(a) z = Mul(r, x) }",
            "a = Exp(y)\nz = Div(x, a)",
        ),
        Example(
            "divided by",
            "(float[2,3] x, float[3] y) => (float[2,3] z) { r = Reciprocal(y) z = Div(x, r) }",
            "z = Mul(x, y)",
        ),
        Example(
            "of a quotient",
            "(float[2,3] x, float[3] y) => (float[2,3] z) { a = Exp(x) q = Div(a, y) z = Reciprocal(q) }",
            "a = Exp(x)\nz = Div(y, a)",
        ),
        Example(
            "twice",
            "(float[2,3] x) => (float[2,3] z) { a = Exp(x) r = Reciprocal(a) z = Reciprocal(r) }",
            "z = Exp(x)",
        ),
        Example(
            "another reader",
            """(float[2,3] x, float[3] y) => (float[2,3] z, float[2,3] u)
            { r = Reciprocal(y) z = Mul(r, x) u = Add(r, x) }""",
            refused="another reader",
        ),
        Example(
            "rounded afterwards",
            "(float[2,3] x, float[3] y) => (float[2,3] z) { a = Exp(y) r = Reciprocal(a) p = Mul(r, x) z = Floor(p) }",
            refused="rounds the result",
        ),
    )
