"""A constant factor in front of a convolution becomes part of its weights."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.per_channel import factors_of, fits
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import convolve_affine, weight_dims
from rooftune.verdicts import Exactness, Refusal


class FoldScaleBeforeConv(Rule):
    """Fold a Mul or Div by one number per channel, or a Neg, into the weights of the convolution behind it."""

    pattern = (
        "conv=Conv|ConvTranspose(step=Mul(x, $c), w!, b?)",
        "conv=Conv|ConvTranspose(step=Div(x, $c), w!, b?)",
        "conv=Conv|ConvTranspose(step=Neg(x), w!, b?)",
    )
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = weight_dims(m.conv) or ()
        channels = dims[0] if m.conv.op_type == "ConvTranspose" else dims[1] * attribute(m.conv, "group", 1)
        array = m.array("c") if "c" in m.found else None
        factor = factors_of(m.step, array, len(dims), 1, channels)
        if factor is None or (array is not None and not fits(m.dims("x"), array.shape)):
            return Refusal("the constant is not one finite factor per channel")
        return convolve_affine(m, new, factor, None)

    examples = (
        Example(
            "per channel",
            """(float[1,4,8,8] x) => (float[1,6,8,8] y) <float[6,2,3,3] w, float[6] b, float[4,1,1] k>
            { s = Mul(x, k) y = Conv<group=2, pads=[1,1,1,1]>(s, w, b) }""",
            "y = Conv<group=2, pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "one number, divided",
            """(float[N,3,8,8] x) => (float[N,4,6,6] y) <float[4,3,3,3] w, float k = {255}>
            { s = Div(x, k) y = Conv(s, w) }""",
            "y = Conv(x, #)",
        ),
        Example(
            "negated",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w> { s = Neg(x) y = Conv(s, w) }""",
            "y = Conv(x, #)",
        ),
        Example(
            "transposed, grouped",
            """(float[1,4,5,5] x) => (float[1,6,7,7] y) <float[4,3,3,3] w, float[1,4,1,1] k>
            { s = Mul(k, x) y = ConvTranspose<group=2>(s, w) }""",
            "y = ConvTranspose<group=2>(x, #)",
        ),
        Example(
            "the factor makes the input larger",
            """(float[1,1,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[3,1,1] k>
            { s = Mul(x, k) y = Conv(s, w) }""",
            refused="not one finite factor per channel",
        ),
        Example(
            "a factor per column",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[8] k>
            { s = Mul(x, k) y = Conv(s, w) }""",
            refused="not one finite factor per channel",
        ),
        Example(
            "two readers",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y, float[1,3,8,8] z) <float[4,3,3,3] w, float k = {2}>
            { s = Mul(x, k) y = Conv(s, w) z = Relu(s) }""",
            refused="another reader",
        ),
    )
