"""A convolution to which its own input, normalised, is added becomes a convolution alone."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.branch_sums import BranchRule
from rooftune.rewrite.branches import Branch, diagonal, normalised
from rooftune.rewrite.rule import Example
from rooftune.verdicts import Refusal


class MergeBatchnormIntoConvSum(BranchRule):
    """Add a BatchNormalization to the convolution of the same input whose output it is added to.

    In inference it is a 1x1 convolution that keeps the channels apart.
    """

    def path(self, value: ir.Value, x: ir.Value) -> tuple[ir.Node, ...] | None:
        norm = value.producer()
        if norm is None or norm.op_type != "BatchNormalization" or value.index() != 0:
            return None
        return (norm,) if norm.inputs[0] is x else None

    def branch(self, path: tuple[ir.Node, ...], conv: Branch) -> Branch | Refusal | None:
        return normalised(diagonal(conv, products=conv.inner * conv.group), path[0])

    examples = (
        Example(
            "without bias",
            """(float[N,4,8,8] x) => (float[N,4,8,8] y)
            <float[4,4,3,3] w, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { c = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(x, scale, shift, mean, var) y = Add(c, n) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "depthwise, with bias, old operator set",
            """(float[1,4,8] x) => (float[1,4,8] y)
            <float[4,1,3] w, float[4] b, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { n = BatchNormalization<epsilon=0.01>(x, scale, shift, mean, var)
              c = Conv<group=4, pads=[1,1]>(x, w, b) y = Sum(n, c) }""",
            "y = Conv<group=4, pads=[1,1]>(x, #, #)",
            opset=8,
        ),
        Example(
            "statistics of the batch",
            """(float[2,4,8] x) => (float[2,4,8] y)
            <float[4,1,3] w, float[4] scale, float[4] shift, float[4] mean, float[4] var>
            { n, m, v = BatchNormalization<training_mode=1>(x, scale, shift, mean, var)
              c = Conv<group=4, pads=[1,1]>(x, w) y = Add(n, c) }""",
            refused="statistics of its own",
        ),
    )
