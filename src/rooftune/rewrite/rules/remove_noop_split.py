"""Splits into one part go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.noop import NoOp
from rooftune.rewrite.rule import Example


class RemoveNoopSplit(NoOp):
    """Remove a Split into a single part."""

    ops = ("Split",)

    def idle(self, node: ir.Node) -> bool:
        return len(node.outputs) == 1

    examples = (
        Example(
            "one part",
            "(float[2,3] x) => (float[2,3] y) <int64[1] s = {3}> { c = Split<axis=1>(x, s) y = Relu(c) }",
            "y = Relu(x)",
        ),
        Example(
            "as an attribute",
            "(float[2,3] x) => (float[2,3] y) { c = Split<axis=1, split=[3]>(x) y = Relu(c) }",
            "y = Relu(x)",
            opset=11,
        ),
    )
