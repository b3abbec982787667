"""A BatchNormalization in front of a convolution becomes part of its weights."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, label_of
from rooftune.rewrite.padding import pads_with_zeros
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import batchnorm_affine, convolve_affine
from rooftune.verdicts import Exactness, Refusal


class FoldBatchnormBeforeConv(Rule):
    """Fold a BatchNormalization into the Conv behind it: the gain into its weights, the shift into its bias.

    Where the Conv pads with zeros the shift would have to reach the padding too, which no bias can say.
    """

    pattern = "conv=Conv(norm=BatchNormalization(x, scale!, shift!, mean!, var!), w!, b!?)"
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        affine = batchnorm_affine(m, m.norm)
        if affine is None:
            return Refusal("the BatchNormalization computes statistics of its own or its parameters are not finite")
        gain, shift = affine
        if shift.any() and pads_with_zeros(m.conv):
            reason = "the convolution pads with zeros, which the shift does not reach: its border would change"
            return Refusal(reason, label_of(m.norm))
        return convolve_affine(m, new, gain, shift)

    examples = (
        Example(
            "no padding",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y)
            <float[4,3,3,3] w, float[4] b, float[3] scale, float[3] shift, float[3] mean, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Conv(n, w, b) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "1x1 with automatic padding, grouped, no bias",
            """(float[1,4,8,8] x) => (float[1,6,4,4] y)
            <float[6,2,1,1] w, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { n = BatchNormalization<epsilon=0.01>(x, scale, shift, mean, var)
              y = Conv<auto_pad="SAME_UPPER", group=2, strides=[2,2]>(n, w) }""",
            "y = Conv<auto_pad=SAME_UPPER, group=2, strides=[2,2]>(x, #, #)",
        ),
        Example(
            "padding, but no shift",
            """(float[1,3,8,8] x) => (float[1,4,8,8] y) <float[4,3,3,3] w, float[3] scale, float[3] shift = {0, 0, 0},
            float[3] mean = {0, 0, 0}, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Conv<pads=[1,1,1,1]>(n, w) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #)",
        ),
        Example(
            "padding with zeros",
            """(float[1,3,8,8] x) => (float[1,4,8,8] y)
            <float[4,3,3,3] w, float[3] scale, float[3] shift, float[3] mean, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Conv<pads=[1,1,1,1]>(n, w) }""",
            refused="pads with zeros",
        ),
        Example(
            "automatic padding with zeros",
            """(float[1,3,8,8] x) => (float[1,4,8,8] y)
            <float[4,3,3,3] w, float[3] scale, float[3] shift, float[3] mean, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Conv<auto_pad="SAME_LOWER">(n, w) }""",
            refused="pads with zeros",
        ),
        Example(
            "two readers",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y, float[1,3,8,8] z)
            <float[4,3,3,3] w, float[3] scale, float[3] shift, float[3] mean, float[3] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Conv(n, w) z = Relu(n) }""",
            refused="another reader",
        ),
    )
