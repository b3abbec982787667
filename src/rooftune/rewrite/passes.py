"""Ready passes of onnx_ir as sweeps: what they took out and put in is found by looking before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from rooftune.graph.text import node_line
from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import label_of

__all__ = ["run_pass"]


def run_pass(
    place: Workplace,
    rule: str,
    work: ir.passes.PassBase,
    *,
    may_go: Sequence[ir.Node] = (),
    inside: Iterable[ir.Graph] = (),
) -> list[Applied]:
    """Run a pass on the model; one entry per node that went, or one for all it changed besides.

    may_go  nodes the pass may take out, which are priced while they still stand; any others cost nothing
    inside  graphs inside nodes that a pass does not see, and which it is run on as well
    """
    before = {id(node): (node, node.inputs) for node in place.all_nodes()}
    prices = dict(zip(map(id, may_go), place.prices(may_go), strict=True))
    constants = set(place.ir.graph.initializers)
    models = [place.ir, *(ir.Model(graph, ir_version=place.ir.ir_version) for graph in inside)]
    changed = [work(model).modified for model in models]
    if not any(changed):
        return []
    after = {id(node): node for node in place.all_nodes()}
    came = {v.name: node for key, node in after.items() if key not in before for v in node.outputs}
    nothing, found = place.price([]), []
    for key, (node, inputs) in before.items():
        if key in after:
            continue
        added = [came[v.name] for v in node.outputs if v.name in came]
        lines = ((node_line(node, inputs),), tuple(node_line(n) for n in added))
        delta = place.price(added) - prices.get(key, nothing)
        found.append(
            Applied(rule, label_of(node), (label_of(node),), tuple(label_of(n) for n in added), *lines, *delta)
        )
    dropped = [name for name in constants if name not in place.ir.graph.initializers]
    if dropped and not found:
        found.append(Applied(rule, f"{len(dropped)} initialisers", (), (), (), (), *(nothing - nothing)))
    return found
