"""Names that nothing in a model has yet."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["Names"]


class Names:
    """Gives new names; a name is never given twice."""

    def __init__(self, model: ir.Model) -> None:
        self._values: set[str] = set()
        self._nodes: set[str] = set()
        self._next: dict[str, int] = {}
        owners: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
        for owner in owners:
            self._take(owner)
            for graph in owner.subgraphs():
                self._take(graph)

    def _take(self, graph: ir.Graph | ir.Function) -> None:
        self._values.update(v.name for v in graph.inputs if v.name)
        if isinstance(graph, ir.Graph):
            self._values.update(graph.initializers)
        for node in graph:
            self._values.update(v.name for v in node.outputs if v.name)
            if node.name:
                self._nodes.add(node.name)

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
