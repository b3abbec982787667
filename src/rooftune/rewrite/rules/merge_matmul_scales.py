"""A product of matrices that are both multiplied by a number, as attention writes it, needs one multiplication."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats, is_normal, keeps_shape, only_number, refuse_rounded
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import dims_of
from rooftune.verdicts import Exactness, Refusal


class MergeMatmulScales(Rule):
    """Multiply one operand of a MatMul by both numbers, where both are multiplied or divided by one.

    PyTorch scales queries and keys each by the root of the factor, so that products stay small in half precision;
    graphs in half precision are left as they are.
    """

    pattern = "product=MatMul(left=Mul|Div(a, $c), right=Mul|Div(b, $d))"
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node) if computes_in_floats(node) else None
        if not isinstance(found, Match):
            return found
        numbers = [only_number(found.c), only_number(found.d)]
        if any(n is None for n in numbers) or not (keeps_shape(found.c, found.a) and keeps_shape(found.d, found.b)):
            return None
        factor = _factor(found.left, numbers[0]) * _factor(found.right, numbers[1])
        return Match(node, {**found.found, "factor": factor}, found.nodes)

    def guard(self, m: Match) -> Refusal | None:
        factor = np.asarray(m.factor)
        if not np.isfinite(factor).all() or not is_normal(factor, m.c.dtype) or factor == 0:
            return Refusal(f"{m.c.name} and {m.d.name} together are out of the range of normal numbers")
        return refuse_rounded(m.root)

    def replace(self, m: Match, new: Builder) -> Replacement:
        factor = new.constant(np.asarray(m.factor), like=m.c)
        if _size(m.b) < _size(m.a):
            return new.MatMul(m.a, new.Mul(m.b, factor))
        return new.MatMul(new.Mul(m.a, factor), m.b)

    examples = (
        Example(
            "queries and keys",
            """(float[1,4,N,8] q, float[1,4,8,N] k) => (float[1,4,N,N] y) <float s = {0.5}, float[1] t = {0.5}>
            { a = Mul(q, s) b = Mul(k, t) y = MatMul(a, b) }""",
            "v1 = Mul(q, #)\ny = MatMul(v1, k)",
        ),
        Example(
            "the smaller operand, one divided",
            """(float[9,8] a, float[8,2] b) => (float[9,2] y) <float s = {3.0}, float t = {4.0}>
            { p = Mul(a, s) q = Div(b, t) y = MatMul(p, q) }""",
            "v1 = Mul(b, #)\ny = MatMul(a, v1)",
        ),
        Example(
            "underflow",
            """(float[2,3] a, float[3,2] b) => (float[2,2] y) <float s = {1.0e-30}, float t = {1.0e-30}>
            { p = Mul(a, s) q = Mul(b, t) y = MatMul(p, q) }""",
            refused="out of the range",
        ),
        Example(
            "another reader",
            """(float[2,3] a, float[3,2] b) => (float[2,2] y, float[2,3] z) <float s = {2.0}, float t = {3.0}>
            { p = Mul(a, s) q = Mul(b, t) y = MatMul(p, q) z = Relu(p) }""",
            refused="another reader",
        ),
    )


def _factor(step: ir.Node, number: Any) -> float:
    with np.errstate(divide="ignore", over="ignore"):
        return float(number) if step.op_type == "Mul" else float(np.divide(1.0, float(number)))


def _size(value: ir.Value) -> float:
    """Elements of a value, open dimensions not counted."""
    return float(np.prod([d for d in dims_of(value) or () if isinstance(d, int)]))
