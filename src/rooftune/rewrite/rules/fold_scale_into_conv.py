"""A constant factor behind a convolution becomes part of its weights."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.per_channel import factors_of
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import along_outputs, bias_or_zero, output_channels, weight_dims
from rooftune.verdicts import Exactness, Refusal


class FoldScaleIntoConv(Rule):
    """Fold a Mul or Div by one number per channel, or a Neg, into the weights of the convolution before it."""

    pattern = (
        "Mul(conv=Conv|ConvTranspose(x, w!, b!?), $c)",
        "Div(conv=Conv|ConvTranspose(x, w!, b!?), $c)",
        "Neg(conv=Conv|ConvTranspose(x, w!, b!?))",
    )
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        rank = len(weight_dims(m.conv) or ())
        factor = factors_of(m.root, m.array("c") if "c" in m.found else None, rank, 1, output_channels(m.conv))
        if factor is None:
            return Refusal("the constant is not one finite factor per channel")
        weight = new.derive(lambda w: w * along_outputs(factor, w, m.conv), m.w)
        bias = None if m.b is None else new.constant(bias_or_zero(m) * factor, like=m.b)
        return new.node(m.conv.op_type, [m.x, weight, bias], like=m.conv)[0]

    examples = (
        Example(
            "per channel",
            """(float[1,3,8,8] x) => (float[1,4,8,8] y) <float[4,3,3,3] w, float[4] b, float[4,1,1] k>
            { c = Conv<pads=[1,1,1,1]>(x, w, b) y = Mul(k, c) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "one number, no bias",
            """(float[1,4,8,8] x) => (float[1,4,6,6] y) <float[4,2,3,3] w, float k = {0.5}>
            { c = Conv<group=2>(x, w) y = Mul(c, k) }""",
            "y = Conv<group=2>(x, #)",
        ),
        Example(
            "divided, one dimension",
            """(float[1,3,8] x) => (float[1,4,6] y) <float[4,3,3] w, float[4] b, float[1,4,1] var_k>
            { c = Conv(x, w, b) y = Div(c, var_k) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "negated",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[4] b>
            { c = Conv(x, w, b) y = Neg(c) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "transposed, grouped",
            """(float[1,4,5,5] x) => (float[1,6,11,11] y) <float[4,3,3,3] w, float[6] b, float[6,1,1] k>
            { c = ConvTranspose<group=2, strides=[2,2]>(x, w, b) y = Mul(c, k) }""",
            "y = ConvTranspose<group=2, strides=[2,2]>(x, #, #)",
        ),
        Example(
            "a factor per column",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[6] k>
            { c = Conv(x, w) y = Mul(c, k) }""",
            refused="not one finite factor per channel",
        ),
        Example(
            "the factor makes the result larger",
            """(float[1,3,8,8] x) => (float[2,4,6,6] y) <float[4,3,3,3] w, float[2,1,1,1] k>
            { c = Conv(x, w) y = Mul(c, k) }""",
            refused="not one finite factor per channel",
        ),
        Example(
            "divided by zero",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float k = {0}>
            { c = Conv(x, w) y = Div(c, k) }""",
            refused="not one finite factor per channel",
        ),
        Example(
            "weight computed at run time",
            """(float[1,3,8,8] x, float[4,3,3,3] w) => (float[1,4,6,6] y) <float k = {2}>
            { c = Conv(x, w) y = Mul(c, k) }""",
            refused="is an input of the model",
        ),
        Example(
            "two readers",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y, float[1,4,6,6] z) <float[4,3,3,3] w, float k = {2}>
            { c = Conv(x, w) y = Mul(c, k) z = Relu(c) }""",
            refused="another reader",
        ),
    )
