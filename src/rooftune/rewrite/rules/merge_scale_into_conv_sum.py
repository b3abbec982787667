"""A convolution to which its own input, scaled, is added becomes a convolution alone."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.branch_sums import BranchRule
from rooftune.rewrite.branches import Branch, diagonal, unchanging
from rooftune.rewrite.match import SMALL
from rooftune.rewrite.per_channel import along_axis
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class MergeScaleIntoConvSum(BranchRule):
    """Add a factor per channel to the kernel of a convolution whose output its own scaled input is added to."""

    def path(self, value: ir.Value, x: ir.Value) -> tuple[ir.Node, ...] | None:
        scale = value.producer()
        if scale is None or scale.op_type != "Mul" or x not in scale.inputs:
            return None
        return (scale,) if unchanging(scale.inputs[1 - scale.inputs.index(x)]) else None

    def branch(self, path: tuple[ir.Node, ...], conv: Branch) -> Branch | Refusal | None:
        factor = next((constant_of(v, SMALL) for v in path[0].inputs if unchanging(v)), None)
        channels = conv.inner * conv.group
        gain = along_axis(factor, len(conv.windows) + 2, 1, channels)
        return None if gain is None else diagonal(conv, gain, products=channels)

    examples = (
        Example(
            "factor per channel",
            """(float[N,4,8,8] x) => (float[N,4,8,8] y) <float[4,4,3,3] w, float[4] b, float[4,1,1] k>
            { c = Conv<pads=[1,1,1,1]>(x, w, b) s = Mul(k, x) y = Add(s, c) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "one factor, groups",
            """(float[1,4,8] x) => (float[1,4,8] y) <float[4,2,3] w, float k = {0.5}>
            { c = Conv<group=2, pads=[1,1]>(x, w) s = Mul(x, k) y = Add(s, c) }""",
            "y = Conv<group=2, pads=[1,1]>(x, #)",
        ),
        Example(
            "another reader",
            """(float[1,4,8] x) => (float[1,4,8] y, float[1,4,8] c) <float[4,2,3] w, float[4,1] k>
            { c = Conv<group=2, pads=[1,1]>(x, w) s = Mul(x, k) y = Add(s, c) }""",
            refused="another reader",
        ),
    )
