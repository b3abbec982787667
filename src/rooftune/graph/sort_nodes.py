"""Putting the nodes of a graph into an order in which they can run."""

from __future__ import annotations

import heapq
from collections.abc import Set as AbstractSet

import onnx

from rooftune.errors import InputError
from rooftune.graph.tensors_in import graphs_in

__all__ = ["sort_nodes"]


def sort_nodes(owner: onnx.GraphProto | onnx.FunctionProto, known: AbstractSet[str], where: str) -> None:
    """Sort the nodes in place, keeping their order where it does not matter; raises `InputError` on a cycle."""
    nodes = list(owner.node)
    producer = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    waits: list[int] = []
    waiting: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        needs = {producer[name] for name in _reads(node) if name in producer and name not in known}
        waits.append(len(needs))
        for other in needs:
            waiting.setdefault(other, []).append(index)
    ready = [index for index, count in enumerate(waits) if count == 0]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for other in waiting.get(index, ()):
            waits[other] -= 1
            if waits[other] == 0:
                heapq.heappush(ready, other)
    if len(order) < len(nodes):
        stuck = nodes[next(index for index, count in enumerate(waits) if count)]
        raise InputError(
            f"the nodes of {where} form a cycle, through node {stuck.name or stuck.op_type}", "export the model again"
        )
    copies = [onnx.NodeProto.FromString(nodes[index].SerializeToString()) for index in order]
    del owner.node[:]
    owner.node.extend(copies)


def _reads(node: onnx.NodeProto) -> set[str]:
    """Names a node reads, in its subgraphs too (names made inside a subgraph do no harm: nobody outside makes them)."""
    names = set(node.input)
    for graph in graphs_in((node,)):
        names.update(o.name for o in graph.output)
        inside = {o for n in graph.node for o in n.output} | {i.name for i in graph.input}
        names.update(i for n in graph.node for i in n.input if i not in inside)
    names.discard("")
    return names
