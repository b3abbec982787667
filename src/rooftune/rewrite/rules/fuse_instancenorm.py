"""Instance normalisation written out becomes InstanceNormalization."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.normalisation import normalised
from rooftune.rewrite.polynomial import FUSED_TYPES, read_only_by
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseInstancenorm(Rule):
    """Fuse (x - mean)/√(variance + ε) over all axes behind the channels into InstanceNormalization.

    Scale and shift behind it follow by `fold_affine_into_normalization`. ONNX Runtime runs the operators one by one
    and the fused one in less than half the time; OpenVINO fuses them itself. Not for double, which ONNX
    Runtime has no kernel for.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = normalised(node)
        rank = None if found is None else rank_of(found.x)
        if found is None or rank is None or rank < 4 or not found.centred or found.axes != tuple(range(2, rank)):
            return None
        if found.x.dtype not in FUSED_TYPES:
            return None
        return read_only_by(found.nodes) or Match(node, {"x": found.x, "found": found}, found.nodes)

    def guard(self, m: Match) -> Refusal | None:
        dims = m.dims("x")
        if dims is None or not isinstance(dims[1], int):
            return Refusal("InstanceNormalization needs a scale, and the number of channels is open")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = m.dims("x")
        assert dims is not None
        ones = new.constant(np.ones(int(dims[1])), like=m.x, hint=f"{m.root.name}_scale")
        zeros = new.constant(np.zeros(int(dims[1])), like=m.x, hint=f"{m.root.name}_shift")
        return new.node("InstanceNormalization", [m.x, ones, zeros], epsilon=m.found["found"].epsilon)[0]

    examples = (
        Example(
            "of images",
            """(float[2,3,4,4] x) => (float[2,3,4,4] y) <float two = {2.0}, float eps = {0.001}, int64[2] axes = {2, 3}>
            { m = ReduceMean(x, axes) d = Sub(x, m) p = Pow(d, two) v = ReduceMean(p, axes)
              e = Add(v, eps) q = Sqrt(e) y = Div(d, q) }""",
            "y = InstanceNormalization<epsilon=0.001>(x, #, #)",
        ),
        Example(
            "axes as attributes, open size",
            """(float[N,3,H,W] x) => (float[N,3,H,W] y) <float[1] eps = {0.001}>
            { m = ReduceMean<axes=[-1,-2]>(x) d = Sub(x, m) p = Mul(d, d) v = ReduceMean<axes=[-2,-1]>(p)
              e = Add(v, eps) q = Sqrt(e) y = Div(d, q) }""",
            "y = InstanceNormalization<epsilon=0.001>(x, #, #)",
            opset=11,
        ),
        Example(
            "channels not known",
            """(float[1,C,4,4] x) => (float[1,C,4,4] y) <float eps = {0.001}, int64[2] axes = {2, 3}>
            { m = ReduceMean(x, axes) d = Sub(x, m) p = Mul(d, d) v = ReduceMean(p, axes)
              e = Add(v, eps) q = Sqrt(e) y = Div(d, q) }""",
            refused="is open",
        ),
    )
