"""Tiles that repeat nothing go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.noop import NoOp
from rooftune.rewrite.rule import Example


class RemoveNoopTile(NoOp):
    """Remove a Tile that repeats everything once."""

    ops = ("Tile",)

    def idle(self, node: ir.Node) -> bool:
        repeats = constant_of(node.inputs[1]) if len(node.inputs) == 2 else None
        return repeats is not None and bool((repeats == 1).all())

    examples = (
        Example(
            "once",
            "(float[N,3] x) => (float[N,3] y) <int64[2] r = {1,1}> { t = Tile(x, r) y = Relu(t) }",
            "y = Relu(x)",
        ),
    )
