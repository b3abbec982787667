"""Sums written as nested Add and Sum nodes, taken as one sum of many operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from rooftune.rewrite.builder import Builder

__all__ = ["SUMS", "Operand", "SumTree", "rebuild_sum", "sum_at"]

SUMS = frozenset({("", "Add"), ("", "Sum")})

FIRST_BROADCASTING_SUM = 8
"""Before this operator set all inputs of Sum have the same shape."""


@dataclass(frozen=True)
class Operand:
    """One operand of a sum: a value, and which input of which node it is."""

    value: ir.Value
    reader: ir.Node
    place: int


@dataclass(frozen=True)
class SumTree:
    """A sum: its nodes, root first and each behind its reader, and its operands from left to right."""

    nodes: tuple[ir.Node, ...]
    operands: tuple[Operand, ...]

    def nodes_above(self, *operands: Operand) -> tuple[ir.Node, ...]:
        """The nodes between these operands and the root, root first."""
        wanted = {id(o.reader) for o in operands}
        found = []
        for node in reversed(self.nodes):
            if id(node) in wanted:
                found.append(node)
                wanted.update(id(reader) for reader, _ in node.outputs[0].uses())
        return tuple(reversed(found))


def sum_at(node: ir.Node) -> SumTree | None:
    """The sum with its root at a node; None where the node is part of a larger sum or adds nothing up.

    A node belongs to the sum of its reader where nobody else reads it, so that operands may change their places.
    """
    if not _adds(node) or _is_part(node):
        return None
    nodes: list[ir.Node] = []
    operands: list[Operand] = []
    waiting: list[ir.Node | Operand] = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, Operand):
            operands.append(current)
            continue
        nodes.append(current)
        inner: list[ir.Node | Operand] = []
        for place, value in enumerate(current.inputs):
            if value is None:
                return None
            producer = value.producer()
            own = producer is not None and producer.graph is node.graph and _adds(producer) and _is_part(producer)
            inner.append(producer if own and producer is not None else Operand(value, current, place))
        waiting += reversed(inner)
    return SumTree(tuple(nodes), tuple(operands))


def rebuild_sum(new: Builder, above: tuple[ir.Node, ...], changed: Mapping[Operand, ir.Value | None]) -> ir.Value:
    """The sum with other operands: None leaves one out. `above` are the nodes between these and the root.

    What lies beside them stays as it is, and so does the shape as long as a left-out operand has that of another.
    """
    known: dict[int, ir.Value | None] = {}
    exchanged = {(id(o.reader), o.place): value for o, value in changed.items()}
    for node in reversed(above):
        kept = []
        for place, value in enumerate(node.inputs):
            assert value is not None
            producer = value.producer()
            if (id(node), place) in exchanged:
                now = exchanged[id(node), place]
            elif producer is not None and id(producer) in known:
                now = known[id(producer)]
            else:
                now = value
            if now is not None:
                kept.append(now)
        known[id(node)] = _added(new, node, kept)
    total = known[id(above[0])]
    assert total is not None
    return total


def _added(new: Builder, node: ir.Node, values: list[ir.Value]) -> ir.Value | None:
    if len(values) <= 1:
        return values[0] if values else None
    if len(values) > 2 and new.opset >= FIRST_BROADCASTING_SUM:
        return new.node("Sum", values, like=node)[0]
    total = values[0]
    for value in values[1:]:
        total = new.node("Add", [total, value])[0]
    return total


def _adds(node: ir.Node) -> bool:
    """True for additions; those of the oldest operator sets with attributes of their own do not count."""
    return (node.domain, node.op_type) in SUMS and not node.attributes


def _is_part(node: ir.Node) -> bool:
    output = node.outputs[0]
    readers = output.uses()
    if output.is_graph_output() or len(readers) != 1:
        return False
    reader = next(iter(readers))[0]
    return reader.graph is node.graph and _adds(reader)
