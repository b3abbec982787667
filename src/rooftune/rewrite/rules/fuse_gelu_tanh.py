"""GELU written out with its tanh approximation becomes Gelu."""

from __future__ import annotations

import math

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.gelu import GeluForm
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement

SLOPE = math.sqrt(2 / math.pi)


class FuseGeluTanh(GeluForm):
    """Fuse x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2, in whatever order it is written, into Gelu.

    Only the tanh form is meant, and it stays the tanh form. ONNX Runtime leaves it as single operators and runs the
    fused one in less than half the time; OpenVINO fuses it itself. Not for double, which ONNX Runtime
    has no kernel for.
    """

    inner = "Tanh"
    argument = {1: SLOPE, 3: SLOPE * 0.044715}

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Gelu", [m.x], approximate="tanh")[0]

    examples = (
        Example(
            "as GPT-2 writes it",
            """(float[2,3] x) => (float[2,3] y)
            <float three = {3.0}, float k = {0.044715}, float s = {0.7978845608}, float one = {1.0}, float half = {0.5}>
            { a = Pow(x, three) b = Mul(a, k) c = Add(x, b) d = Mul(c, s) e = Tanh(d) f = Add(e, one)
              h = Mul(x, half) y = Mul(h, f) }""",
            "y = Gelu<approximate=tanh>(x)",
        ),
        Example(
            "x taken out of the bracket, multiplications instead of the power",
            """(float[2,3] x) => (float[2,3] y)
            <float k = {0.044715}, float s = {0.7978845608}, float one = {1.0}, float half = {0.5}>
            { q = Mul(x, x) b = Mul(k, q) c = Add(one, b) t = Mul(x, s) d = Mul(t, c) e = Tanh(d) f = Add(one, e)
              g = Mul(x, f) y = Mul(g, half) }""",
            "y = Gelu<approximate=tanh>(x)",
        ),
        Example(
            "cubed by two multiplications",
            """(float[2,3] x) => (float[2,3] y)
            <float k = {0.044715}, float s = {0.7978845608}, float one = {1.0}, float half = {0.5}>
            { q = Mul(x, x) r = Mul(q, x) b = Mul(k, r) c = Add(x, b) d = Mul(s, c) e = Tanh(d) f = Add(one, e)
              g = Mul(x, f) y = Mul(g, half) }""",
            "y = Gelu<approximate=tanh>(x)",
        ),
        Example(
            "the tanh is an output",
            """(float[2,3] x) => (float[2,3] y, float[2,3] e)
            <float k = {0.044715}, float s = {0.7978845608}, float one = {1.0}, float half = {0.5}>
            { q = Mul(x, x) r = Mul(q, x) b = Mul(k, r) c = Add(x, b) d = Mul(s, c) e = Tanh(d) f = Add(one, e)
              g = Mul(x, f) y = Mul(g, half) }""",
            refused="output of the graph",
        ),
    )
