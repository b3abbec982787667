"""Transposes that change nothing go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import permutation
from rooftune.rewrite.noop import NoOp
from rooftune.rewrite.rule import Example


class RemoveNoopTranspose(NoOp):
    """Remove a Transpose that leaves every axis in its place."""

    ops = ("Transpose",)

    def idle(self, node: ir.Node) -> bool:
        perm = permutation(node)
        return perm is not None and perm == tuple(range(len(perm)))

    examples = (
        Example(
            "identity", "(float[2,3] x) => (float[2,3] y) { t = Transpose<perm=[0,1]>(x) y = Relu(t) }", "y = Relu(x)"
        ),
        Example("a vector", "(float[3] x) => (float[3] y) { t = Transpose(x) y = Relu(t) }", "y = Relu(x)"),
    )
