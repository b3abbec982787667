"""Where Transposes can move down through a graph, and where that leaves fewer or smaller ones."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import onnx_ir as ir

from rooftune.graph.types import dtype_of
from rooftune.rewrite.axes import permutation
from rooftune.rewrite.movable import Moved, Perm, moved
from rooftune.rewrite.views import dims_of

__all__ = ["Layout", "Region", "can_go", "undoes"]

Region = list[tuple[ir.Node, Moved]]
"""Nodes that move together, in running order."""

Gain = tuple[int, int]
"""Transposes saved, and bytes they no longer move."""

OPEN_DIMENSION = 32
"""What an open dimension counts as when Transposes are compared by size."""


def undoes(transpose: ir.Node, perm: Perm) -> bool:
    """True for a Transpose that gives back what stood before a Transpose by `perm`."""
    second = permutation(transpose)
    return second is not None and len(second) == len(perm) and all(perm[q] == i for i, q in enumerate(second))


class Layout:
    """Nodes of one graph that could read their inputs before a Transpose, and the regions where that pays.

    perms   by id of a value: the permutation it can be had without
    nodes   by id of a node: how it moves
    """

    def __init__(self, graph: Iterable[ir.Node]) -> None:
        self.perms: dict[int, Perm] = {}
        self.nodes: dict[int, tuple[ir.Node, Moved]] = {}
        self.place: dict[int, int] = {}
        self._alive: list[ir.Value] = []  # ids stay theirs as long as the layout is looked at
        for number, node in enumerate(graph):
            self.place[id(node)] = number
            if node.op_type == "Transpose" and node.domain == "":
                perm = permutation(node)
                if perm is not None and perm != tuple(range(len(perm))) and node.inputs[0] is not None:
                    self.perms[id(node.outputs[0])] = perm
                    self._alive.append(node.outputs[0])
                continue
            behind = {i: self.perms[id(v)] for i, v in enumerate(node.inputs) if id(v) in self.perms}
            how = moved(node, behind) if behind else None
            if how is None:
                continue
            self.nodes[id(node)] = (node, how)
            for output, perm in zip(node.outputs, how.outputs, strict=False):
                if perm != tuple(range(len(perm))):
                    self.perms[id(output)] = perm
                    self._alive.append(output)

    def regions(self) -> Iterator[Region]:
        """Sets of nodes whose move pays, in running order; no two of them touch."""
        for nodes in self._components():
            chosen = self._pruned(nodes)
            count, size = self._gain(chosen)
            if chosen and size >= 0 and (count, size) > (0, 0):
                yield sorted((self.nodes[key] for key in chosen), key=lambda entry: self.place[id(entry[0])])

    def _components(self) -> list[list[int]]:
        """Movable nodes that hang together by values, those of one source among them."""
        owner: dict[int, int] = {}

        def root(key: int) -> int:
            while owner.setdefault(key, key) != key:
                owner[key] = owner[owner[key]]
                key = owner[key]
            return key

        for key, (node, how) in self.nodes.items():
            for value in (*(node.inputs[i] for i in how.carried), *node.outputs):
                if value is not None and value.name:
                    owner[root(id(value))] = root(key)
        found: dict[int, list[int]] = {}
        for key in self.nodes:
            found.setdefault(root(key), []).append(key)
        return list(found.values())

    def _pruned(self, component: list[int]) -> set[int]:
        """The component without nodes whose move does not help: those at its ends first."""
        chosen = set(component)
        waiting = deque(reversed(component))
        queued = set(component)
        while waiting:
            key = waiting.popleft()
            queued.discard(key)
            if key not in chosen:
                continue
            node, how = self.nodes[key]
            around = [v for v in (*(node.inputs[i] for i in how.carried), *node.outputs) if v is not None]
            before = self._cost(around, chosen)
            chosen.discard(key)
            after = self._cost(around, chosen)
            if after > before:
                chosen.add(key)
                continue
            for value in around:
                neighbours = [n for n, _ in value.uses()]
                maker = value.producer()
                for near in (*neighbours, *([maker] if maker is not None else [])):
                    if id(near) in chosen and id(near) not in queued:
                        queued.add(id(near))
                        waiting.append(id(near))
        return chosen

    def _gain(self, chosen: set[int]) -> Gain:
        values: dict[int, ir.Value] = {}
        for key in chosen:
            node, how = self.nodes[key]
            for value in (*(node.inputs[i] for i in how.carried), *node.outputs):
                if value is not None:
                    values[id(value)] = value
        before, after = self._cost(values.values(), set()), self._cost(values.values(), chosen)
        return before[0] - after[0], before[1] - after[1]

    def _cost(self, values: Iterable[ir.Value], chosen: set[int]) -> Gain:
        """Transposes at these values when the chosen nodes move, and their bytes."""
        count = size = 0
        for value in {id(v): v for v in values}.values():
            number = self._transposes(value, chosen)
            if number:
                count += number
                size += number * _bytes(value)
        return count, size

    def _transposes(self, value: ir.Value, chosen: set[int]) -> int:
        """How many Transposes make or read a value: made before it is permuted, behind it, or read in both ways."""
        perm = self.perms.get(id(value))
        maker = value.producer()
        made_before = maker is not None and id(maker) in chosen
        is_source = maker is not None and maker.op_type == "Transpose" and perm is not None and not made_before
        moved_readers, plain, transposes = False, value.is_graph_output(), 0
        for node, place in value.uses():
            entry = self.nodes.get(id(node)) if id(node) in chosen else None
            if entry is not None and place in entry[1].carried:
                moved_readers = True
                perm = perm or entry[1].carried[place]
            elif node.op_type == "Transpose" and node.domain == "" and id(node) in self.place:
                cancels = made_before and perm is not None and undoes(node, perm) and can_go(node, value)
                transposes += not cancels
                merges = undoes(node, perm or ()) and not node.outputs[0].is_graph_output()
                plain = plain or (is_source and not merges)
            else:
                plain = True
        if perm is None:
            return transposes
        if made_before or is_source:
            return transposes + plain
        return transposes + moved_readers


def can_go(transpose: ir.Node, value: ir.Value) -> bool:
    """True where what stands before the Transpose can take its place: it cannot have two outputs' names."""
    if not transpose.outputs[0].is_graph_output():
        return True
    others = (n for n, _ in value.uses() if n is not transpose and n.op_type == "Transpose")
    return not any(n.outputs[0].is_graph_output() for n in others)


def _bytes(value: ir.Value) -> int:
    dims: tuple[Any, ...] | None = dims_of(value)
    kind = dtype_of(value.dtype)
    if dims is None:
        return 0
    return math.prod(d if isinstance(d, int) else OPEN_DIMENSION for d in dims) * (kind.bits if kind is not None else 8)
