"""Root-mean-square normalisation written out becomes RMSNormalization."""

from __future__ import annotations

from rooftune.rewrite.normalisation import FusedNormalisation
from rooftune.rewrite.rule import Example


class FuseRmsnorm(FusedNormalisation):
    """Fuse x/√(mean(x²) + ε) over the last axes into RMSNormalization.

    A scale behind it follows by `fold_affine_into_normalization`. ONNX Runtime fuses the form with a division
    itself, but not the one with a reciprocal that language models use, which runs several times faster fused;
    OpenVINO fuses all of them.
    """

    operator = "RMSNormalization"
    centred = False
    since = 23

    examples = (
        Example(
            "with a reciprocal",
            """(float[2,3,8] x) => (float[2,3,8] y) <float two = {2.0}, float eps = {0.001}, int64[1] axes = {-1}>
            { p = Pow(x, two) v = ReduceMean(p, axes) e = Add(v, eps) q = Sqrt(e) r = Reciprocal(q) y = Mul(x, r) }""",
            "y = RMSNormalization<axis=-1, epsilon=0.001>(x, #)",
            opset=23,
        ),
        Example(
            "with a division",
            """(float[N,8] x) => (float[N,8] y) <float eps = {0.001}, int64[1] axes = {1}>
            { p = Mul(x, x) v = ReduceMean(p, axes) e = Add(v, eps) q = Sqrt(e) y = Div(x, q) }""",
            "y = RMSNormalization<axis=-1, epsilon=0.001>(x, #)",
            opset=24,
        ),
        Example(
            "length not known",
            """(float[2,N] x) => (float[2,N] y) <float eps = {0.001}, int64[1] axes = {1}>
            { p = Mul(x, x) v = ReduceMean(p, axes) e = Add(v, eps) q = Sqrt(e) y = Div(x, q) }""",
            refused="is open",
            opset=24,
        ),
    )
