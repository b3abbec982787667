"""Views that change nothing go."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from rooftune.graph.small_values import SmallValues
from rooftune.rewrite.match import attribute
from rooftune.rewrite.noop import NoOp, sizes_known
from rooftune.rewrite.rule import Example
from rooftune.rewrite.views import VIEWS, dims_of, same_shape


class RemoveNoopReshape(NoOp):
    """Remove a Reshape, Flatten, Squeeze or Unsqueeze to the shape its input has."""

    ops = VIEWS

    def idle(self, node: ir.Node) -> bool:
        if sizes_known(node) and same_shape(node.inputs[0], node.outputs[0]):
            return True
        return node.op_type == "Reshape" and _keeps(node)

    examples = (
        Example(
            "to its own shape",
            "(float[2,3] x) => (float[2,3] y) <int64[2] s = {2,3}> { r = Reshape(x, s) y = Relu(r) }",
            "y = Relu(x)",
        ),
        Example(
            "open dimensions",
            "(float[N,3,M] x) => (float[N,3,M] y) <int64[3] s = {0,0,-1}> { a = Relu(x) y = Reshape(a, s) }",
            "y = Relu(x)",
        ),
        Example(
            "to a computed shape",
            "(float[N,3] x) => (float[N,3] y) { a = Relu(x) s = Shape(a) y = Reshape(a, s) }",
            "y = Relu(x)",
        ),
        Example("flat already", "(float[N,3] x) => (float[N,3] y) { a = Flatten(x) y = Relu(a) }", "y = Relu(x)"),
        Example(
            "input to output",
            "(float[2,3] x) => (float[2,3] y) <int64[2] s = {2,3}> { y = Reshape(x, s) }",
            refused="cannot take its name",
        ),
    )


def _keeps(node: ir.Node) -> bool:
    """Every entry of the target says the input's own size, all but one for certain and that one by -1."""
    dims = dims_of(node.inputs[0])
    target: Any = SmallValues().of(node.inputs[1])
    if dims is None or target is None or target.ndim != 1 or len(target) != len(dims):
        return False
    copies = not attribute(node, "allowzero", 0)
    left = [e for e, d in zip(target.tolist(), dims, strict=True) if not ((copies and e == 0) or e == d)]
    return len(left) == 0 or (len(left) == 1 and left[0] == -1)
