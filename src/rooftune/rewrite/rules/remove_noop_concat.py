"""Concats of one tensor go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.noop import NoOp
from rooftune.rewrite.rule import Example


class RemoveNoopConcat(NoOp):
    """Remove a Concat, Sum, Mean, Max or Min of a single tensor."""

    ops = ("Concat", "Max", "Mean", "Min", "Sum")

    def idle(self, node: ir.Node) -> bool:
        return len(node.inputs) == 1

    examples = (
        Example("one input", "(float[2,3] x) => (float[2,3] y) { c = Concat<axis=1>(x) y = Relu(c) }", "y = Relu(x)"),
        Example("one summand", "(float[2,3] x) => (float[2,3] y) { c = Sum(x) y = Relu(c) }", "y = Relu(x)"),
    )
