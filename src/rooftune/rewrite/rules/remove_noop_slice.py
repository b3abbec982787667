"""Slices that take everything go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.noop import NoOp, sizes_known
from rooftune.rewrite.rule import Example
from rooftune.rewrite.views import same_shape


class RemoveNoopSlice(NoOp):
    """Remove a Slice that takes every element in order."""

    ops = ("Slice",)

    def idle(self, node: ir.Node) -> bool:
        if len(node.inputs) > 4 and node.inputs[4] is not None:
            steps = constant_of(node.inputs[4])
            if steps is None or (steps != 1).any():
                return False
        return sizes_known(node) and same_shape(node.inputs[0], node.outputs[0])  # full in size, so full in range

    examples = (
        Example(
            "an open end",
            """(float[N,5] x) => (float[N,5] y) <int64[2] first = {0,-9}, int64[2] last = {9223372036854775807,5}>
            { s = Slice(x, first, last) y = Relu(s) }""",
            "y = Relu(x)",
        ),
        Example(
            "as attributes",
            "(float[2,5] x) => (float[2,5] y) { s = Slice<axes=[1], ends=[9], starts=[0]>(x) y = Relu(s) }",
            "y = Relu(x)",
            opset=9,
        ),
    )
