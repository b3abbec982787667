"""Names that nothing in a model has yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import onnx_ir as ir

__all__ = ["Names", "NamesInUse"]


class NamesInUse:
    """How many values and nodes of a model have each name, its graphs within graphs and its functions included."""

    def __init__(self, model: ir.Model) -> None:
        self.values: Counter[str] = Counter()
        self.nodes: Counter[str] = Counter()
        owners: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
        for owner in owners:
            for graph in (owner, *owner.subgraphs()):
                self.values.update(v.name for v in graph.inputs if v.name)
                if isinstance(graph, ir.Graph):
                    self.values.update(list(graph.initializers))
                self._count(graph, 1)

    def forget(self, graph: ir.Graph) -> None:
        """Leave out a graph without inputs that goes, with the graphs inside it."""
        for part in (graph, *graph.subgraphs()):
            self.values.subtract(v.name for v in part.inputs if v.name)
            self.values.subtract(list(part.initializers))
            self._count(part, -1)

    def _count(self, nodes: Iterable[ir.Node], sign: int) -> None:
        for node in nodes:
            for value in node.outputs:
                if value.name:
                    self.values[value.name] += sign
            if node.name:
                self.nodes[node.name] += sign


class Names:
    """Gives new names; a name is never given twice."""

    def __init__(self, model: ir.Model) -> None:
        used = NamesInUse(model)
        self._values, self._nodes = set(used.values), set(used.nodes)
        self._next: dict[str, int] = {}

    def value(self, stem: str) -> str:
        """A new name for a value: the stem with a number behind it."""
        return self._new(stem, self._values)

    def node(self, stem: str) -> str:
        """A new name for a node."""
        return self._new(stem, self._nodes)

    def _new(self, stem: str, taken: set[str]) -> str:
        number = self._next.get(stem, 0)
        while True:
            number += 1
            name = f"{stem}_{number}"
            if name not in taken:
                break
        self._next[stem] = number
        taken.add(name)
        return name
