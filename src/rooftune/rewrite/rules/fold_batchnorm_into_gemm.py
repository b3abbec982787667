"""A BatchNormalization before or behind a Gemm becomes part of its weight and bias."""

from __future__ import annotations

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.gemm import columns_of, gemm_bias, scaled_columns, scaled_rows, with_bias
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import batchnorm_affine, derive_bias
from rooftune.verdicts import Exactness, Refusal


class FoldBatchnormIntoGemm(Rule):
    """Fold a BatchNormalization into the Gemm, or the MatMul of two matrices, before or behind it."""

    pattern = (
        "norm=BatchNormalization(gemm=Gemm(a, w!, bias!?), scale!, shift!, mean!, var!)",
        "norm=BatchNormalization(gemm=MatMul(a, $w), scale!, shift!, mean!, var!)",
        "gemm=Gemm(norm=BatchNormalization(a, scale!, shift!, mean!, var!), w!, bias!?)",
        "gemm=MatMul(norm=BatchNormalization(a, scale!, shift!, mean!, var!), $w)",
    )
    exactness = Exactness.REASSOCIATES

    def guard(self, m: Match) -> Refusal | None:
        if attribute(m.gemm, "transA", 0) and m.root is m.gemm:
            return Refusal("the Gemm reads the BatchNormalization transposed")
        if m.gemm.op_type == "MatMul" and (rank_of(m.gemm.inputs[0]) != 2 or columns_of(m.gemm) is None):
            return Refusal("the MatMul is not known to be one of two matrices")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        affine = batchnorm_affine(m, m.norm)
        if affine is None:
            return Refusal("the BatchNormalization computes statistics of its own or its parameters are not finite")
        gain, shift = affine
        columns = columns_of(m.gemm)
        bias = gemm_bias(m, columns)
        if bias is None:
            return Refusal("the bias is not one number per column")
        like = m.found.get("bias") or m.shift
        if m.root is m.norm:
            return with_bias(m, new, scaled_columns(m, new, gain), bias * gain + shift, like)
        alpha, transposed = float(attribute(m.gemm, "alpha", 1.0)), bool(attribute(m.gemm, "transB", 0))
        weight = scaled_rows(m, new, gain)
        added = derive_bias(new, lambda w: alpha * (shift @ (w.T if transposed else w)) + bias, m.w, size=columns)
        if m.gemm.op_type == "MatMul":
            return new.Gemm(m.a, weight, added)
        return new.Gemm(m.a, weight, added, like=m.gemm, beta=None)

    examples = (
        Example(
            "behind a Gemm",
            """(float[2,3] x) => (float[2,4] y) <float[4,3] w, float[4] b,
            float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { g = Gemm<alpha=0.5, beta=2.0, transB=1>(x, w, b)
              y = BatchNormalization(g, scale, shift, mean, var) }""",
            "y = Gemm<alpha=0.5, transB=1>(x, #, #)",
        ),
        Example(
            "behind a MatMul",
            """(float[N,3] x) => (float[N,4] y) <float[3,4] w,
            float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { g = MatMul(x, w) y = BatchNormalization(g, scale, shift, mean, var) }""",
            "y = Gemm(x, #, #)",
        ),
        Example(
            "before a Gemm",
            """(float[2,3] x) => (float[2,4] y) <float[4,3] w, float b = {1},
            float[3] scale, float[3] shift, float[3] mean, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var)
              y = Gemm<alpha=0.5, beta=2.0, transB=1>(n, w, b) }""",
            "y = Gemm<alpha=0.5, transB=1>(x, #, #)",
        ),
        Example(
            "before a MatMul",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w,
            float[3] scale, float[3] shift, float[3] mean, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = MatMul(n, w) }""",
            "y = Gemm(x, #, #)",
        ),
        Example(
            "three dimensions",
            """(float[2,4,3] x) => (float[2,4,5] y) <float[3,5] w,
            float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { g = MatMul(x, w) y = BatchNormalization(g, scale, shift, mean, var) }""",
            refused="not known to be one of two matrices",
        ),
        Example(
            "a bias per row",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,1] b,
            float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { g = Gemm(x, w, b) y = BatchNormalization(g, scale, shift, mean, var) }""",
            refused="not one number per column",
        ),
    )
