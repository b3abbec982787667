"""GELU written out with the error function becomes Gelu."""

from __future__ import annotations

import math

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.gelu import GeluForm
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement


class FuseGeluErf(GeluForm):
    """Fuse x·(1 + erf(x/√2))/2, in whatever order it is written, into Gelu.

    ONNX Runtime and OpenVINO fuse the usual spellings themselves; nodes fall, time does not. Not for double, which
    ONNX Runtime has no kernel for. Larger or smaller constants than the formula's are another function.
    """

    inner = "Erf"
    argument = {1: math.sqrt(0.5)}

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
