"""A copy of a model to work on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from rooftune.rewrite.edit import graphs_of
from rooftune.rewrite.names import Names

__all__ = ["copy_of"]


def copy_of(model: ir.Model) -> ir.Model:
    """A copy that shares the weights with the model, and nothing else.

    A branch may give what was made outside, without a node of its own. onnx_ir knows such an output by its name alone:
    it cannot copy it, and nobody would see that the value is read. In the copy an Identity reads it.
    """
    loose = list(_loose_outputs(model))
    if not loose:
        return model.clone()
    names = Names(model)
    before = [graph.outputs[place] for graph, place, _ in loose]
    for old, (graph, place, outside) in zip(before, loose, strict=True):
        made = ir.Value(name=names.value(old.name or "value"), type=old.type or outside.type, shape=old.shape)
        graph.append(ir.Node("", "Identity", [outside], outputs=[made], name=names.node("Identity")))
        graph.outputs[place] = made
    try:
        return model.clone()
    finally:
        for old, (graph, place, _) in zip(before, loose, strict=True):  # the model itself stays as it was
            node = graph.outputs[place].producer()
            assert node is not None
            graph.outputs[place] = old
            graph.remove(node, safe=True)


def _loose_outputs(model: ir.Model) -> Iterator[tuple[ir.Graph, int, ir.Value]]:
    """Outputs of graphs inside nodes that these graphs do not make: the graph, the place, the value from outside."""
    holders: dict[int, ir.Node] = {}
    owners: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for owner in owners:
        for node in owner.all_nodes():
            for graph in graphs_of(node):
                holders[id(graph)] = node
                for place, value in enumerate(graph.outputs):
                    if value.producer() is None and not value.is_initializer() and not value.is_graph_input():
                        outside = _outside(value.name, node, holders)
                        if outside is not None:
                            yield graph, place, outside


def _outside(name: str | None, node: ir.Node, holders: Mapping[int, ir.Node]) -> ir.Value | None:
    """The value of that name that a graph inside this node sees: made before the node, or around its graph."""
    at: ir.Node | None = node
    while at is not None and at.graph is not None:
        graph = at.graph
        known = [*graph.inputs, *graph.initializers.values()]
        for earlier in graph:
            if earlier is at:
                break
            known += earlier.outputs
        found = next((v for v in known if v.name == name), None)
        if found is not None:
            return found
        at = holders.get(id(graph))
    return None
