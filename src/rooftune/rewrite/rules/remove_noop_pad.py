"""Pads that add nothing go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.match import attribute
from rooftune.rewrite.noop import NoOp
from rooftune.rewrite.rule import Example


class RemoveNoopPad(NoOp):
    """Remove a Pad of nothing on every side."""

    ops = ("Pad",)

    def idle(self, node: ir.Node) -> bool:
        if len(node.inputs) > 1:
            pads = constant_of(node.inputs[1])
            return pads is not None and not pads.any()
        given = attribute(node, "pads")
        return given is not None and not any(given)

    examples = (
        Example(
            "zero",
            "(float[2,3] x) => (float[2,3] y) <int64[4] p = {0,0,0,0}> { s = Pad(x, p) y = Relu(s) }",
            "y = Relu(x)",
        ),
        Example(
            "as an attribute",
            "(float[2,3] x) => (float[2,3] y) { s = Pad<pads=[0,0,0,0]>(x) y = Relu(s) }",
            "y = Relu(x)",
            opset=9,
        ),
    )
