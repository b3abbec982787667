"""A constant added in front of a convolution becomes part of its bias."""

from __future__ import annotations

import numpy as np

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute, label_of
from rooftune.rewrite.padding import pads_with_zeros
from rooftune.rewrite.per_channel import along_axis, fits, shifts_of
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import convolve_affine, weight_dims
from rooftune.verdicts import Exactness, Refusal


class FoldShiftBeforeConv(Rule):
    """Fold an Add or Sub of one number per channel into the bias of the Conv behind it.

    Where the Conv pads with zeros the shift would have to reach the padding too, which no bias can say.
    """

    pattern = (
        "conv=Conv(step=Add(x, $c), w!, b!?)",
        "conv=Conv(step=Sub(x, $c), w!, b!?)",
        "conv=Conv(step=Sub($c, x), w!, b!?)",
    )
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = weight_dims(m.conv) or ()
        channels, array = dims[1] * attribute(m.conv, "group", 1), m.array("c")
        negated = m.step.op_type == "Sub" and m.step.inputs[0] is m.c
        read = along_axis(array, len(dims), 1, channels) if negated else None
        shift = read if negated else shifts_of(m.step, array, len(dims), 1, channels)
        if shift is None or array is None or not fits(m.dims("x"), array.shape):
            return Refusal("the constant is not one finite number per channel")
        if shift.any() and pads_with_zeros(m.conv):
            reason = "the convolution pads with zeros, which the shift does not reach: its border would change"
            return Refusal(reason, label_of(m.step))
        return convolve_affine(m, new, np.full(channels, -1.0) if negated else None, shift)

    examples = (
        Example(
            "a mean per channel subtracted",
            """(float[N,3,8,8] x) => (float[N,4,6,6] y) <float[4,3,3,3] w, float[4] b, float[3,1,1] k>
            { s = Sub(x, k) y = Conv(s, w, b) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "one number added, grouped, no bias",
            """(float[1,4,8,8] x) => (float[1,6,6,6] y) <float[6,2,3,3] w, float k = {0.5}>
            { s = Add(x, k) y = Conv<auto_pad="VALID", group=2>(s, w) }""",
            "y = Conv<auto_pad=VALID, group=2>(x, #, #)",
        ),
        Example(
            "subtracted from a constant",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[4] b, float k = {1}>
            { s = Sub(k, x) y = Conv(s, w, b) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "padding with zeros",
            """(float[1,3,8,8] x) => (float[1,4,8,8] y) <float[4,3,3,3] w, float[3,1,1] k>
            { s = Sub(x, k) y = Conv<pads=[1,1,1,1]>(s, w) }""",
            refused="pads with zeros",
        ),
        Example(
            "the constant makes the input larger",
            """(float[1,1,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[3,1,1] k>
            { s = Add(x, k) y = Conv(s, w) }""",
            refused="not one finite number per channel",
        ),
    )
