"""Ready passes of onnx_ir as sweeps: what they took out and put in is found by looking before and after."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.text import node_line
from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import label_of

__all__ = ["run_pass"]


def run_pass(place: Workplace, rule: str, work: ir.passes.PassBase) -> list[Applied]:
    """Run a pass on the model; one entry per node that went, or one for all it changed besides."""
    before = {id(node): (node, node.inputs) for node in place.all_nodes()}
    constants = set(place.ir.graph.initializers)
    result = work(place.ir)
    if not result.modified:
        return []
    after = {id(node) for node in place.all_nodes()}
    gone = [part for key, part in before.items() if key not in after]
    if gone:
        return [
            Applied(rule, label_of(node), removed=(label_of(node),), before=(node_line(node, inputs),))
            for node, inputs in gone
        ]
    dropped = [name for name in constants if name not in place.ir.graph.initializers]
    return [Applied(rule, f"{len(dropped)} initialisers")] if dropped else []
