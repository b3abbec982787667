"""Nodes whose results nobody reads go, and weights that nobody reads."""

from __future__ import annotations

from onnx_ir.passes.common import RemoveUnusedFunctionsPass, RemoveUnusedNodesPass

from rooftune.graph.text import node_line
from rooftune.rewrite.edit import Workplace, take_out, unread
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import label_of
from rooftune.rewrite.passes import run_pass
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep


class RemoveDeadNodes(Sweep):
    """Remove nodes and initialisers that no output depends on."""

    def run(self, place: Workplace) -> list[Applied]:
        going = unread(place.all_nodes())[::-1]
        nothing = place.price([])
        found = [
            Applied(self.name, label_of(node), (label_of(node),), (), (node_line(node),), (), *(nothing - price))
            for node, price in zip(going, place.prices(going), strict=True)
        ]
        take_out(going[::-1])
        found += run_pass(place, self.name, RemoveUnusedNodesPass())  # weights, and outputs that may be absent
        if place.ir.functions:
            found += run_pass(place, self.name, RemoveUnusedFunctionsPass())  # type: ignore[no-untyped-call]
        return found

    examples = (
        Example(
            "a branch without an end",
            "(float[2,3] x) => (float[2,3] y) { a = Exp(x) b = Log(a) y = Relu(x) }",
            "y = Relu(x)",
        ),
    )
