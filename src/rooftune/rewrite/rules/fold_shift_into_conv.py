"""A constant added behind a convolution becomes part of its bias."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.per_channel import along_axis, shifts_of
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import weight_dims
from rooftune.verdicts import Exactness, Refusal


class FoldShiftIntoConv(Rule):
    """Fold an Add or Sub of one number per channel into the bias of the convolution before it."""

    pattern = (
        "Add(conv=Conv|ConvTranspose(x, w, b!?), $c)",
        "Sub(conv=Conv|ConvTranspose(x, w, b!?), $c)",
        "Sub($c, conv=Conv|ConvTranspose(x, w!, b!?))",
    )
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        rank, channels = len(weight_dims(m.conv) or ()), _channels(m.conv)
        if channels is None:
            return Refusal("the number of output channels is not known")
        negated = m.root.op_type == "Sub" and m.root.inputs[0] is m.c
        if negated:
            shift = along_axis(m.array("c"), rank, 1, channels)
        else:
            shift = shifts_of(m.root, m.array("c"), rank, 1, channels)
        if shift is None:
            return Refusal("the constant is not one finite number per channel")
        weight = new.derive(lambda w: -w, m.w) if negated else m.w
        sign = -1.0 if negated else 1.0
        bias = new.constant(shift, like=m.c) if m.b is None else new.derive(lambda b: sign * b + shift, m.b)
        return new.node(m.conv.op_type, [m.x, weight, bias], like=m.conv)[0]

    examples = (
        Example(
            "no bias yet",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[1,4,1,1] k>
            { c = Conv(x, w) y = Add(c, k) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "onto a bias",
            """(float[1,3,8] x) => (float[1,4,6] y) <float[4,3,3] w, float[4] b, float[4,1] k>
            { c = Conv(x, w, b) y = Add(k, c) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "one number subtracted",
            """(float[1,4,8,8] x) => (float[1,4,6,6] y) <float[4,2,3,3] w, float[4] b, float[1] k = {0.5}>
            { c = Conv<group=2>(x, w, b) y = Sub(c, k) }""",
            "y = Conv<group=2>(x, #, #)",
        ),
        Example(
            "subtracted from a constant",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[4] b, float k = {1}>
            { c = Conv(x, w, b) y = Sub(k, c) }""",
            "y = Conv(x, #, #)",
        ),
        Example(
            "transposed, grouped",
            """(float[1,4,5,5] x) => (float[1,6,7,7] y) <float[4,3,3,3] w, float[6,1,1] k>
            { c = ConvTranspose<group=2>(x, w) y = Add(c, k) }""",
            "y = ConvTranspose<group=2>(x, #, #)",
        ),
        Example(
            "weight computed at run time",
            """(float[1,3,8,8] x, float[4,3,3,3] w) => (float[1,4,6,6] y) <float[4,1,1] k>
            { c = Conv(x, w) y = Add(c, k) }""",
            "y = Conv(x, w, #)",
        ),
        Example(
            "a number per position",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[6,6] k>
            { c = Conv(x, w) y = Add(c, k) }""",
            refused="not one finite number per channel",
        ),
        Example(
            "the constant makes the result larger",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[1,3,3,3] w, float[4,1,1] k>
            { c = Conv(x, w) y = Add(c, k) }""",
            refused="not one finite number per channel",
        ),
        Example(
            "two readers",
            """(float[1,3,8,8] x) => (float[1,4,6,6] y, float[1,4,6,6] c) <float[4,3,3,3] w, float k = {2}>
            { c = Conv(x, w) y = Add(c, k) }""",
            refused="output of the graph",
        ),
    )


def _channels(conv: ir.Node) -> int | None:
    dims = weight_dims(conv)
    found = None if dims is None else dims[0] if conv.op_type == "Conv" else dims[1]
    if not isinstance(found, int):
        return None
    return found * (1 if conv.op_type == "Conv" else int(attribute(conv, "group", 1)))
