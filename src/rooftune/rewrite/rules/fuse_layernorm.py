"""Layer normalisation written out becomes LayerNormalization."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.match import Match
from rooftune.rewrite.normalisation import FusedNormalisation
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class FuseLayernorm(FusedNormalisation):
    """Fuse (x - mean)/√(variance + ε) over the last axes into LayerNormalization.

    Scale and shift behind it follow by `fold_affine_into_normalization`. ONNX Runtime fuses the form with scale and
    shift itself, so there nodes fall and time does not; without them it runs the operators one by one. OpenVINO fuses
    both. Over all axes behind the channels of images the same formula is `fuse_instancenorm`'s.
    """

    operator = "LayerNormalization"
    centred = True
    since = 17

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        # over all axes behind the channels of images it is an instance normalisation
        return None if isinstance(found, Match) and found.axis == 2 and (rank_of(found.x) or 0) >= 4 else found

    examples = (
        Example(
            "as PyTorch writes it",
            """(float[2,3,8] x) => (float[2,3,8] y) <float two = {2.0}, float eps = {0.001}>
            { m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) p = Pow(d, two) v = ReduceMean<axes=[-1]>(p)
              e = Add(v, eps) q = Sqrt(e) y = Div(d, q) }""",
            "y = LayerNormalization<axis=-1, epsilon=0.001>(x, #)",
            opset=17,
        ),
        Example(
            "axes as inputs, a reciprocal, the difference computed twice",
            """(float[N,3,8] x) => (float[N,3,8] y) <int64[2] axes = {1, 2}, float eps = {0.001}>
            { m = ReduceMean(x, axes) d = Sub(x, m) f = Sub(x, m) p = Mul(f, f) v = ReduceMean(p, axes)
              e = Add(eps, v) q = Sqrt(e) r = Reciprocal(q) y = Mul(d, r) }""",
            "y = LayerNormalization<axis=-2, epsilon=0.001>(x, #)",
        ),
        Example(
            "length not known",
            """(float[2,N] x) => (float[2,N] y) <float two = {2.0}, float eps = {0.001}, int64[1] axes = {-1}>
            { m = ReduceMean(x, axes) d = Sub(x, m) p = Pow(d, two) v = ReduceMean(p, axes)
              e = Add(v, eps) q = Sqrt(e) y = Div(d, q) }""",
            refused="is open",
        ),
        Example(
            "the difference has another reader",
            """(float[2,4] x) => (float[2,4] y, float[2,4] z)
            <float two = {2.0}, float eps = {0.001}, int64[1] axes = {-1}>
            { m = ReduceMean(x, axes) d = Sub(x, m) p = Pow(d, two) v = ReduceMean(p, axes)
              e = Add(v, eps) q = Sqrt(e) y = Div(d, q) z = Relu(d) }""",
            refused="another reader",
        ),
    )
