"""A convolution to which its own input is added becomes a convolution alone."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.branch_sums import BranchRule
from rooftune.rewrite.branches import Branch, diagonal
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class MergeIdentityIntoConv(BranchRule):
    """Add the identity to the kernel of a convolution whose output its own input is added to."""

    def path(self, value: ir.Value, x: ir.Value) -> tuple[ir.Node, ...] | None:
        return () if value is x else None

    def branch(self, path: tuple[ir.Node, ...], conv: Branch) -> Branch | Refusal | None:
        return diagonal(conv)

    examples = (
        Example(
            "dense",
            """(float[N,4,H,8] x) => (float[N,4,H,8] y) <float[4,4,3,3] w, float[4] b>
            { c = Conv<pads=[1,1,1,1]>(x, w, b) y = Add(x, c) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "depthwise, other readers of the input, in a Sum",
            """(float[1,4,8] x, float[1,4,8] z) => (float[1,4,8] y) <float[4,1,5] w>
            { r = Relu(x) c = Conv<group=4, pads=[2,2]>(r, w) y = Sum(r, c, z, x) }""",
            "r = Relu(x)\nv1 = Conv<group=4, pads=[2,2]>(r, #)\ny = Sum(v1, z, x)",
        ),
        Example(
            "groups",
            """(float[1,6,4,4,4] x) => (float[1,6,4,4,4] y) <float[6,2,1,1,1] w>
            { c = Conv<group=3>(x, w) y = Add(c, x) }""",
            "y = Conv<group=3>(x, #)",
        ),
        Example(
            "another reader",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y, float[1,4,8,8] z) <float[4,4,3,3] w>
            { z = Conv<pads=[1,1,1,1]>(x, w) y = Add(x, z) }""",
            refused="another reader",
        ),
        Example(
            "no tap on the element itself",
            """(float[1,4,8] x) => (float[1,4,8] y) <float[4,4,2] w>
            { c = Conv<dilations=[2], pads=[1,1]>(x, w) y = Add(x, c) }""",
            refused="1.5 times",
        ),
    )
