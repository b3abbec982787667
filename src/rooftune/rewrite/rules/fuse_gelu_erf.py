"""GELU written out with the error function becomes Gelu."""

from __future__ import annotations

import math

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.polynomial import FUSED_TYPES, all_close, has_rank_of, made_by, polynomial, read_only_by
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseGeluErf(Rule):
    """Fuse x·(1 + erf(x/√2))/2, in whatever order it is written, into Gelu.

    ONNX Runtime and OpenVINO fuse the usual spellings themselves; nodes fall, time does not. Not for double, which
    ONNX Runtime has no kernel for. Larger or smaller constants than the formula's are another function.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES
    since = 20

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        outer = polynomial(node.outputs[0])
        if outer is None or len(outer.terms) != 2 or len(outer.atoms) != 2:
            return None
        for x, erf in (outer.atoms, outer.atoms[::-1]):
            inner = made_by(erf, "Erf")
            if inner is None or x.dtype not in FUSED_TYPES:
                continue
            if not all_close(x, (outer.coefficient(x), 0.5), (outer.coefficient(x, erf), 0.5)):
                continue
            argument = inner.inputs[0]
            within = None if argument is None else polynomial(argument)
            if within is None or len(within.terms) != 1 or not has_rank_of(x, outer, within):
                continue
            if all_close(x, (within.coefficient(x), math.sqrt(0.5))):
                nodes = (*outer.nodes, inner, *within.nodes)
                return read_only_by(nodes) or Match(node, {"x": x}, nodes)
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Gelu", [m.x])[0]

    examples = (
        Example(
            "as PyTorch exports it",
            """(float[2,3] x) => (float[2,3] y) <float root = {1.4142135}, float one = {1.0}, float half = {0.5}>
            { a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half) }""",
            "y = Gelu(x)",
        ),
        Example(
            "half first, multiplied by 1/√2",
            """(float[N,3] x) => (float[N,3] y) <float[1] root = {0.70710678}, float[1] one = {1.0}, float half = {0.5}>
            { h = Mul(half, x) a = Mul(x, root) b = Erf(a) c = Add(one, b) y = Mul(c, h) }""",
            "y = Gelu(x)",
        ),
        Example(
            "half in the bracket, halved by division",
            """(float[2,3] x) => (float[2,3] y) <float root = {0.70710678}, float one = {1.0}, float two = {2.0}>
            { a = Mul(x, root) b = Erf(a) c = Add(b, one) d = Div(c, two) y = Mul(x, d) }""",
            "y = Gelu(x)",
        ),
        Example(
            "the error function has another reader",
            """(float[2,3] x) => (float[2,3] y, float[2,3] z)
            <float root = {0.70710678}, float one = {1.0}, float half = {0.5}>
            { a = Mul(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half) z = Neg(b) }""",
            refused="another reader",
        ),
    )
