"""Layer normalisation written out becomes LayerNormalization."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.normalisation import normalised
from rooftune.rewrite.polynomial import read_only_by
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseLayernorm(Rule):
    """Fuse (x - mean)/√(variance + ε) over the last axes into LayerNormalization.

    Scale and shift behind it follow by `fold_affine_into_normalization`. ONNX Runtime fuses the form with scale and
    shift itself, so there nodes fall and time does not; without them it runs the operators one by one. OpenVINO fuses
    both. Over all axes behind the channels of images the same formula is `fuse_instancenorm`'s.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES
    since = 17

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = normalised(node)
        rank = None if found is None else rank_of(found.x)
        if found is None or rank is None or not found.centred:
            return None
        first = found.axes[0]
        if found.axes != tuple(range(first, rank)) or (rank >= 4 and first == 2):
            return None
        return read_only_by(found.nodes) or Match(node, {"x": found.x, "found": found, "axis": first}, found.nodes)

    def guard(self, m: Match) -> Refusal | None:
        dims = m.dims("x")
        if dims is None or not all(isinstance(d, int) for d in dims[m.axis :]):
            return Refusal("LayerNormalization needs a scale, and the length of the normalised axes is open")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = m.dims("x")
        assert dims is not None
        axis = m.axis - len(dims)
        ones = new.constant(np.ones([int(d) for d in dims[m.axis :]]), like=m.x, hint=f"{m.root.name}_scale")
        return new.node("LayerNormalization", [m.x, ones], axis=axis, epsilon=m.found["found"].epsilon)[0]

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
