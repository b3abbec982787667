"""A BatchNormalization behind a convolution becomes part of its weights."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import along_outputs, batchnorm_affine, bias_or_zero
from rooftune.verdicts import Exactness, Refusal


class FoldBatchnormIntoConv(Rule):
    """Fold a BatchNormalization into the weights and bias of the convolution before it."""

    pattern = "BatchNormalization(conv=Conv|ConvTranspose(x, w!, b!?), scale!, shift!, mean!, var!)"
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        affine = batchnorm_affine(m)
        if affine is None:
            return Refusal("the BatchNormalization computes statistics of its own or its parameters are not finite")
        gain, shift = affine
        weight = new.derive(lambda w: w * along_outputs(gain, w, m.conv), m.w)
        bias = new.constant(bias_or_zero(m) * gain + shift, like=m.b or m.shift)
        return new.node(m.conv.op_type, [m.x, weight, bias], like=m.conv)[0]

    examples = (
        Example(
            "without bias",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y)
            <float[4,3,3,3] w, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { c = Conv(x, w) y = BatchNormalization(c, scale, shift, mean, var) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "with bias and attributes",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y)
            <float[4,2,3,3] w, float[4] b, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { c = Conv<group=2, pads=[1,1,1,1]>(x, w, b)
              y = BatchNormalization<epsilon=0.01>(c, scale, shift, mean, var) }""",
            "y = Conv<group=2, pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "transposed, grouped",
            """(float[1,4,5,5] x) => (float[1,6,7,7] y)
            <float[4,3,3,3] w, float[6] scale, float[6] shift, float[6] mean, float[6] var>
            { c = ConvTranspose<group=2>(x, w) y = BatchNormalization(c, scale, shift, mean, var) }""",
            "y = ConvTranspose<group=2>(x, #, #)",
        ),
        Example(
            "two consumers",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y, float[1,4,6,6] z)
            <float[4,3,3,3] w, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { c = Conv(x, w) y = BatchNormalization(c, scale, shift, mean, var) z = Relu(c) }""",
            refused="another reader",
        ),
    )
