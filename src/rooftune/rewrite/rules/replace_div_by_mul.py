"""A division by a constant becomes a multiplication."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats, is_normal, known, refuse_rounded
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceDivByMul(Rule):
    """Replace a division by a constant by a multiplication with its reciprocal, which is faster and folds further."""

    pattern = "Div(x, $c)"
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or is_constant(found.x):
            return found
        divisor = known(found.c)
        if divisor is None or not divisor.size or not computes_in_floats(node, halves=True):
            return None
        return found if computes_in_floats(node) or _powers_of_two(divisor.astype(np.float64)) else None

    def guard(self, m: Match) -> Refusal | None:
        divisor = np.asarray(known(m.c), np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            reciprocal = 1 / divisor
        if not np.isfinite(divisor).all() or not divisor.all() or not is_normal(reciprocal, m.c.dtype):
            return Refusal(f"not every element of {m.c.name} has a reciprocal that is a normal number")
        return None if _powers_of_two(divisor) else refuse_rounded(m.root)

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Mul(m.x, new.derive(lambda c: 1 / c, m.c))

    examples = (
        Example(
            "scalar",
            "(float[2,3] x) => (float[2,3] y) <float c = {3.0}> { y = Div(x, c) }",
            "y = Mul(x, #)",
        ),
        Example(
            "per channel",
            "(float[2,3] x) => (float[2,3] y) <float[3] c = {3.0, 0.5, -7.0}> { y = Div(x, c) }",
            "y = Mul(x, #)",
            opset=7,
        ),
        Example(
            "half precision by 8 (bits 0x4800), exact",
            "(float16[2,3] x) => (float16[2,3] y) <float16[1] c = {18432}> { y = Div(x, c) }",
            "y = Mul(x, #)",
        ),
        Example(
            "by zero",
            "(float[2,3] x) => (float[2,3] y) <float[3] c = {3.0, 0.0, 1.0}> { y = Div(x, c) }",
            refused="has a reciprocal",
        ),
        Example(
            "rounded afterwards",
            """(float[2,3] x) => (float[2,3] y) <float c = {49.0}, float s = {1.0}>
            { t = Div(x, c) u = Add(t, s) y = Floor(u) }""",
            refused="rounds the result",
        ),
    )


def _powers_of_two(array: np.ndarray) -> bool:
    """True where multiplying by the reciprocal is exact."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mantissa, _ = np.frexp(array)
    return bool(np.all(np.abs(mantissa) == 0.5))
