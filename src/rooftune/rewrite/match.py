"""Finding a pattern in a graph: what its names stand for, or why the rule must refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of, is_constant
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.pattern import Operation, Pattern, Variable
from rooftune.verdicts import Refusal

__all__ = ["Match", "attribute", "find_match", "label_of"]

SMALL = 1 << 16
"""Constants of at most this many elements are read while a rule decides."""


class Match:
    """What the names of a pattern stand for in the graph: values for variables, nodes for operations.

    `m.x`     the value or node called x; None where an optional one is absent
    `m.root`  the node at the root of the pattern
    `nodes`   all nodes the pattern covers, root first
    """

    def __init__(self, root: ir.Node, found: Mapping[str, Any], nodes: tuple[ir.Node, ...]) -> None:
        self.root, self.found, self.nodes = root, found, nodes

    def __getattr__(self, name: str) -> Any:
        try:
            return self.found[name]
        except KeyError:
            raise AttributeError(f"the pattern names nothing {name!r}") from None

    def array(self, name: str) -> NDArray[Any] | None:
        """The elements of a small constant; None where it is absent, large or no constant."""
        return constant_of(self.found.get(name), SMALL)

    def dims(self, name: str) -> tuple[Any, ...] | None:
        """The dimensions of a value: numbers and expressions; None where the rank is not known."""
        kind = value_type(self.found.get(name))
        return kind.dims if isinstance(kind, TensorType) else None


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """The plain value of an attribute of a node, or the default; references of functions count as absent."""
    found = node.attributes.get(name)
    return default if found is None or found.is_ref() else found.value


def label_of(node: ir.Node) -> str:
    """How messages call a node."""
    return node.name or (node.outputs[0].name if node.outputs else None) or node.op_type


def find_match(pattern: Operation, root: ir.Node) -> Match | Refusal | None:
    """The pattern at a node; a refusal where only a constant or a sole reader is missing; None where it is absent."""
    refused: Refusal | None = None
    for found, nodes, why in _matches(pattern, root, {}, (), inner=False):
        if why is None:
            return Match(root, found, nodes)
        refused = refused or why
    return refused


_State = tuple[dict[str, Any], tuple[ir.Node, ...], Refusal | None]


def _matches(
    pattern: Operation, node: ir.Node, found: dict[str, Any], nodes: tuple[ir.Node, ...], inner: bool
) -> Iterator[_State]:
    if (node.domain, node.op_type) not in pattern.ops:
        return
    inputs = list(node.inputs)
    count = len(pattern.arguments)
    if len(inputs) > count and not pattern.open_end and any(v is not None for v in inputs[count:]):
        return
    inputs += [None] * (count - len(inputs))
    why = None
    if inner and not pattern.shared:
        why = _other_readers(node)
    if pattern.name:
        found = {**found, pattern.name: node}
    orders = [inputs, inputs[::-1]] if pattern.commutes and inputs[0] is not inputs[1] else [inputs]
    for order in orders:
        yield from _arguments(pattern.arguments, order, (found, (*nodes, node), why))


def _arguments(patterns: tuple[Pattern, ...], inputs: list[ir.Value | None], state: _State) -> Iterator[_State]:
    if not patterns:
        yield state
        return
    first, value = patterns[0], inputs[0]
    if isinstance(first, Variable):
        after = _bind(first, value, state)
        if after is not None:
            yield from _arguments(patterns[1:], inputs[1:], after)
        return
    producer = None if value is None or value.index() != 0 else value.producer()
    if producer is None:
        return
    found, nodes, why = state
    for inner_found, inner_nodes, inner_why in _matches(first, producer, found, nodes, inner=True):
        yield from _arguments(patterns[1:], inputs[1:], (inner_found, inner_nodes, why or inner_why))


def _bind(variable: Variable, value: ir.Value | None, state: _State) -> _State | None:
    found, nodes, why = state
    if value is None:
        if not variable.optional:
            return None
        return ({**found, variable.name: None}, nodes, why) if variable.name else state
    if not variable.name:
        return state
    if variable.name in found and found[variable.name] is not value:
        return None
    if variable.constant and not _is_fixed(value):
        return None
    if variable.wanted_constant and not _is_fixed(value):
        told = "is an input of the model" if value.is_graph_input() else "is computed at run time"
        why = why or Refusal(f"{variable.name} ({value.name}) {told}", label_of(nodes[-1]))
    return {**found, variable.name: value}, nodes, why


def _is_fixed(value: ir.Value) -> bool:
    """True for constants no caller can replace; an initialiser that is an input too is only a default."""
    return is_constant(value) and not value.is_graph_input()


def _other_readers(node: ir.Node) -> Refusal | None:
    output = node.outputs[0]
    if output.is_graph_output():
        return Refusal(f"the output of {label_of(node)} is an output of the graph", label_of(node))
    if len(output.uses()) > 1:
        return Refusal(f"the output of {label_of(node)} has another reader", label_of(node))
    return None
