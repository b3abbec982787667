"""Expands that change nothing go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.noop import NoOp, sizes_known
from rooftune.rewrite.rule import Example
from rooftune.rewrite.views import same_shape


class RemoveNoopExpand(NoOp):
    """Remove an Expand to the shape its input has."""

    ops = ("Expand",)

    def idle(self, node: ir.Node) -> bool:
        return sizes_known(node) and same_shape(node.inputs[0], node.outputs[0])

    examples = (
        Example(
            "to its own shape",
            "(float[2,3] x) => (float[2,3] y) <int64[2] s = {1,3}> { e = Expand(x, s) y = Relu(e) }",
            "y = Relu(x)",
        ),
        Example(
            "open dimensions",
            "(float[N,3] x) => (float[N,3] y) { s = Shape(x) a = Neg(x) e = Expand(a, s) y = Relu(e) }",
            "a = Neg(x)\ny = Relu(a)",
        ),
    )
