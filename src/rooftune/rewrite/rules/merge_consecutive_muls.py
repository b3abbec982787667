"""Products with two constants, one after the other."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_tensor
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_exactly, computes_in_floats, is_normal, joins, known, refuse_rounded
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class MergeConsecutiveMuls(Rule):
    """Merge a product or quotient with a constant and a following product with another into one operation."""

    pattern = ("Mul(inner=Mul(x, $a), $b)", "Mul(inner=Div($a, x), $b)")
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        if not computes_in_floats(node) and not computes_exactly(node):
            return None
        found = super().find(node)
        if not isinstance(found, Match):
            return found
        a, b = known(found.a), known(found.b)
        whole_quotient = found.inner.op_type == "Div" and not computes_in_floats(node)
        return None if a is None or b is None or not joins(a, b) or whole_quotient else found

    def guard(self, m: Match) -> Refusal | None:
        if computes_exactly(m.root):
            return None
        a, b = (np.asarray(known(v), np.float64) for v in (m.a, m.b))
        with np.errstate(all="ignore"):
            product = a * b
        if not is_normal(product, m.a.dtype) or ((product == 0) & (a != 0) & (b != 0)).any():
            return Refusal(f"{m.a.name} times {m.b.name} is out of the range of normal numbers")
        return refuse_rounded(m.root)

    def replace(self, m: Match, new: Builder) -> Replacement:
        shape = np.broadcast_shapes(*(constant_tensor(v).shape.dims for v in (m.a, m.b)))
        factor = new.derive(lambda a, b: a * b, m.a, m.b, shape=shape)
        return new.Mul(m.x, factor) if m.inner.op_type == "Mul" else new.Div(factor, m.x)

    examples = (
        Example(
            "scalar and per channel",
            """(float[2,3,4] x) => (float[2,3,4] y) <float[3,1] a, float b = {0.5}>
            { t = Mul(a, x) y = Mul(t, b) }""",
            "y = Mul(x, #)",
        ),
        Example(
            "three whole ones",
            """(int64[2] x) => (int64[2] y) <int64 a = {3}, int64[1] b = {4}, int64 c = {-2}>
            { t = Mul(x, a) u = Mul(t, b) y = Mul(c, u) }""",
            "y = Mul(x, #)",
        ),
        Example(
            "of a quotient",
            "(float[2,3] x) => (float[2,3] y) <float a = {3.0}, float[3] b> { t = Div(a, x) y = Mul(t, b) }",
            "y = Div(#, x)",
            opset=7,
        ),
        Example(
            "underflow",
            """(float[2,3] x) => (float[2,3] y) <float a = {1.0e-30}, float b = {1.0e-30}>
            { t = Mul(x, a) y = Mul(t, b) }""",
            refused="out of the range",
        ),
        Example(
            "another reader",
            """(float[2,3] x) => (float[2,3] y, float[2,3] z) <float a = {2.0}, float b = {3.0}>
            { t = Mul(x, a) y = Mul(t, b) z = Relu(t) }""",
            refused="another reader",
        ),
        Example(
            "rounded afterwards",
            """(float[2,3] x) => (float[2,3] y) <float a = {0.3}, float b = {3.0}>
            { t = Mul(x, a) u = Mul(t, b) y = Round(u) }""",
            refused="rounds the result",
        ),
    )
