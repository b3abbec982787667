"""A constant factor before or behind a MatMul becomes part of its weight."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from rooftune.graph.constants import constant_tensor
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.per_channel import Floats, factors_of, fits, is_float
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FoldScaleIntoMatmul(Rule):
    """Fold a Mul or Div by one number per column, or a Neg, into the constant operand of a MatMul.

    A constant on the left takes factors per row of the result; before a MatMul the factors are those of its sums.
    """

    pattern = (
        "Mul(product=MatMul(x, $w), $c)",
        "Div(product=MatMul(x, $w), $c)",
        "Neg(product=MatMul(x, $w))",
        "Mul(product=MatMul($w, x), $c)",
        "Div(product=MatMul($w, x), $c)",
        "Neg(product=MatMul($w, x))",
        "product=MatMul(step=Mul(x, $c), $w)",
        "product=MatMul(step=Div(x, $c), $w)",
        "product=MatMul(step=Neg(x), $w)",
        "product=MatMul($w, step=Mul(x, $c))",
        "product=MatMul($w, step=Div(x, $c))",
        "product=MatMul($w, step=Neg(x))",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if isinstance(found, Match) and (not is_float(found.w) or len(_dims(found.w)) < 2):
            return None
        return found

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims, left = _dims(m.w), m.product.inputs[0] is m.w
        behind = m.root is not m.product
        # the axis of the weight along which the factors run: that of the result's or that of the sums
        axis = -2 if left == behind else -1
        factor = _factor(m, dims[axis], left=left, behind=behind)
        if factor is None:
            return Refusal("the constant is not one finite factor per " + ("row" if left == behind else "column"))
        weight = new.derive(lambda w: w * (factor[:, None] if axis == -2 else factor), m.w)
        return new.MatMul(weight, m.x) if left else new.MatMul(m.x, weight)

    examples = (
        Example(
            "a factor per column",
            """(float[2,N,3] x) => (float[2,N,4] y) <float[3,4] w, float[4] k> { p = MatMul(x, w) y = Mul(p, k) }""",
            "y = MatMul(x, #)",
        ),
        Example(
            "divided by one number, a batch of weights",
            """(float[2,5,3] x) => (float[2,5,4] y) <float[2,3,4] w, float k = {8}>
            { p = MatMul(x, w) y = Div(p, k) }""",
            "y = MatMul(x, #)",
        ),
        Example(
            "a weight on the left, a factor per row",
            """(float[2,3,5] x) => (float[2,4,5] y) <float[4,3] w, float[4,1] k> { p = MatMul(w, x) y = Mul(p, k) }""",
            "y = MatMul(#, x)",
        ),
        Example(
            "before the product",
            """(float[2,5,3] x) => (float[2,5,4] y) <float[3,4] w, float[3] k> { s = Mul(x, k) y = MatMul(s, w) }""",
            "y = MatMul(x, #)",
        ),
        Example(
            "before the product, a weight on the left",
            """(float[2,3,5] x) => (float[2,4,5] y) <float[4,3] w, float[1,3,1] var_k>
            { s = Div(x, var_k) y = MatMul(w, s) }""",
            "y = MatMul(#, x)",
        ),
        Example(
            "a vector, negated",
            """(float[3] x) => (float[4] y) <float[3,4] w> { s = Neg(x) p = MatMul(s, w) y = Neg(p) }""",
            "y = MatMul(x, #)",
        ),
        Example(
            "a factor per row",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,1] k> { p = MatMul(x, w) y = Mul(p, k) }""",
            refused="not one finite factor per column",
        ),
        Example(
            "the constant makes the result larger",
            """(float[2,3] x) => (float[5,2,4] y) <float[3,4] w, float[5,1,1] k> { p = MatMul(x, w) y = Mul(p, k) }""",
            refused="not one finite factor per column",
        ),
        Example(
            "two readers",
            """(float[2,3] x) => (float[2,4] y, float[2,4] z) <float[3,4] w, float k = {2}>
            { p = MatMul(x, w) y = Mul(p, k) z = Relu(p) }""",
            refused="another reader",
        ),
    )


def _dims(weight: ir.Value) -> tuple[int, ...]:
    return tuple(constant_tensor(weight).shape.dims)


def _factor(m: Match, size: int, *, left: bool, behind: bool) -> Floats | None:
    """One factor per index of the axis they run along in the result (behind) or in the input (before)."""
    step = m.root if behind else m.step
    changed = m.product.outputs[0] if behind else m.x
    array: Any = m.array("c") if "c" in m.found else None
    rank = rank_of(changed)
    if array is not None and (rank is None or (not behind and not fits(m.dims("x"), array.shape))):
        return None
    if left and rank_of(m.x) == 1 and (array is None or array.size == 1):
        return factors_of(step, array, rank, 0, size)
    axis = -2 if left else -1
    if rank is None or rank < -axis:
        return None
    return factors_of(step, array, rank, axis, size)
