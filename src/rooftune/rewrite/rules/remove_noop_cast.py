"""A conversion to the element type a value has already."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class RemoveNoopCast(Rule):
    """Remove a conversion to the element type the value has already."""

    pattern = ("Cast(x)", "CastLike(x, _)")
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or found.x.dtype is None:
            return None
        return found if _target(node) == found.x.dtype else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return [m.x]

    examples = (
        Example("cast", "(float[2] x) => (float[2] y) { a = Cast<to=1>(x) y = Relu(a) }", "y = Relu(x)", opset=9),
        Example(
            "cast like",
            "(int64[2] x, int64[3] z) => (int64[2] y) { a = CastLike(x, z) y = Abs(a) }",
            "y = Abs(x)",
        ),
        Example(
            "between input and output",
            "(float[2] x) => (float[2] y) { y = Cast<to=1>(x) }",
            refused="cannot take its name",
        ),
    )


def _target(node: ir.Node) -> ir.DataType | None:
    if node.op_type == "CastLike":
        like = node.inputs[1]
        return None if like is None else like.dtype
    to = node.attributes.get("to")
    return None if to is None or to.is_ref() else ir.DataType(to.as_int())
