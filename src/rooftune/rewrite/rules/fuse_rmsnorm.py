"""Root-mean-square normalisation written out becomes RMSNormalization."""

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


class FuseRmsnorm(Rule):
    """Fuse x/√(mean(x²) + ε) over the last axes into RMSNormalization.

    A scale behind it follows by `fold_affine_into_normalization`. ONNX Runtime fuses the form with a division
    itself, but not the one with a reciprocal that language models use, which runs several times faster fused;
    OpenVINO fuses all of them.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES
    since = 23

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = normalised(node)
        rank = None if found is None else rank_of(found.x)
        if found is None or rank is None or found.centred:
            return None
        first = found.axes[0]
        if found.axes != tuple(range(first, rank)):
            return None
        return read_only_by(found.nodes) or Match(node, {"x": found.x, "found": found, "axis": first}, found.nodes)

    def guard(self, m: Match) -> Refusal | None:
        dims = m.dims("x")
        if dims is None or not all(isinstance(d, int) for d in dims[m.axis :]):
            return Refusal("RMSNormalization needs a scale, and the length of the normalised axes is open")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = m.dims("x")
        assert dims is not None
        axis = m.axis - len(dims)
        ones = new.constant(np.ones([int(d) for d in dims[m.axis :]]), like=m.x, hint=f"{m.root.name}_scale")
        return new.node("RMSNormalization", [m.x, ones], axis=axis, epsilon=m.found["found"].epsilon)[0]

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
