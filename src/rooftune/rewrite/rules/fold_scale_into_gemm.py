"""A constant factor before or behind a Gemm becomes part of its weights."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.gemm import columns_of, gemm_bias, reduction_of, scaled_columns, scaled_rows
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.per_channel import Floats, factors_of, fits, is_float
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

_GEMM = "gemm=Gemm(a, w, bias?)"


class FoldScaleIntoGemm(Rule):
    """Fold a Mul or Div by one number per column, or a Neg, into the weight of the Gemm before or behind it.

    One factor for all columns of a Gemm without constant weights goes into its alpha and beta.
    """

    pattern = (
        f"Mul({_GEMM}, $c)",
        f"Div({_GEMM}, $c)",
        f"Neg({_GEMM})",
        "gemm=Gemm(step=Mul(a, $c), $w, bias?)",
        "gemm=Gemm(step=Div(a, $c), $w, bias?)",
        "gemm=Gemm(step=Neg(a), $w, bias?)",
    )
    exactness = Exactness.REASSOCIATES

    def guard(self, m: Match) -> Refusal | None:
        return None if is_float(m.gemm.outputs[0]) else Refusal("integers are not multiplied in another order")

    def replace(self, m: Match, new: Builder) -> Replacement:
        return _before(m, new) if m.root is m.gemm else _behind(m, new)

    examples = (
        Example(
            "a factor per column",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[4] b, float[4] k>
            { g = Gemm<alpha=0.5, beta=2.0>(x, w, b) y = Mul(g, k) }""",
            "y = Gemm<alpha=0.5>(x, #, #)",
        ),
        Example(
            "divided, transposed, no bias",
            """(float[3,2] x) => (float[2,4] y) <float[4,3] w, float[1,4] var_k>
            { g = Gemm<transA=1, transB=1>(x, w) y = Div(g, var_k) }""",
            "y = Gemm<transA=1, transB=1>(x, #)",
        ),
        Example(
            "before the Gemm",
            """(float[2,3] x) => (float[2,4] y) <float[4,3] w, float[4] b, float[3] k>
            { s = Mul(x, k) y = Gemm<transB=1>(s, w, b) }""",
            "y = Gemm<transB=1>(x, #, #)",
        ),
        Example(
            "before the Gemm, one number, transposed",
            """(float[3,2] x) => (float[2,4] y) <float[3,4] w, float k = {8}>
            { s = Div(x, k) y = Gemm<transA=1>(s, w) }""",
            "y = Gemm<transA=1>(x, #)",
        ),
        Example(
            "one factor, weight and bias computed at run time",
            """(float[2,3] x, float[3,4] w, float[2,4] b) => (float[2,4] y) <float k = {0.5}>
            { g = Gemm(x, w, b) y = Mul(g, k) }""",
            "y = Gemm<alpha=0.5, beta=0.5>(x, w, b)",
        ),
        Example(
            "negated",
            """(float[2,3] x, float[3,4] w) => (float[2,4] y) { g = Gemm(x, w) y = Neg(g) }""",
            "y = Gemm<alpha=-1.0>(x, w)",
        ),
        Example(
            "a factor per row",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,1] k> { g = Gemm(x, w) y = Mul(g, k) }""",
            refused="not one finite factor per column",
        ),
        Example(
            "a bias per row",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,1] b, float[4] k>
            { g = Gemm(x, w, b) y = Mul(g, k) }""",
            refused="the bias",
        ),
        Example(
            "two readers",
            """(float[2,3] x) => (float[2,4] y, float[2,4] z) <float[3,4] w, float k = {2}>
            { g = Gemm(x, w) y = Mul(g, k) z = Relu(g) }""",
            refused="another reader",
        ),
    )


def _behind(m: Match, new: Builder) -> Replacement:
    columns = columns_of(m.gemm)
    known = isinstance(columns, int)
    array = m.array("c") if "c" in m.found else None
    factor = factors_of(m.root, array, 2, 1, columns if known else 1)
    if factor is None or (not known and array is not None and array.size != 1):
        return Refusal("the constant is not one finite factor per column")
    uniform = bool((factor == factor[:1]).all())
    fixed = is_constant(m.w) and not m.w.is_graph_input()
    bias = gemm_bias(m, columns) if known and not (m.bias is not None and m.bias.is_graph_input()) else None
    if fixed and bias is not None:
        new_bias = None if m.bias is None else new.constant(bias * factor, like=m.bias)
        return new.Gemm(m.a, scaled_columns(m, new, factor), new_bias, like=m.gemm, beta=None)
    if not uniform or not factor.size:
        if fixed:
            return Refusal("the bias is computed at run time or differs between rows")
        return Refusal("the weight is computed at run time")
    return _as_alpha(m, new, factor)


def _as_alpha(m: Match, new: Builder, factor: Floats) -> ir.Value:
    alpha = float(attribute(m.gemm, "alpha", 1.0)) * float(factor[0])
    beta = None if m.bias is None else float(attribute(m.gemm, "beta", 1.0)) * float(factor[0])
    return new.Gemm(m.a, m.w, m.bias, like=m.gemm, alpha=alpha, beta=beta)


def _before(m: Match, new: Builder) -> Replacement:
    length = reduction_of(m.gemm)
    array = m.array("c") if "c" in m.found else None
    axis = 0 if attribute(m.gemm, "transA", 0) else 1
    factor = factors_of(m.step, array, 2, axis, length) if isinstance(length, int) else None
    if factor is None or (array is not None and not fits(m.dims("a"), np.shape(array))):
        return Refusal("the constant is not one finite factor per summand")
    return new.Gemm(m.a, scaled_rows(m, new, factor), m.bias, like=m.gemm)
