"""The model given, as attribution wants to see it."""

from __future__ import annotations

from pathlib import Path

from rooftune.execute.attribution import SourceGraph, SourceNode
from rooftune.graph.load import load

__all__ = ["read_source"]


def read_source(model_path: Path) -> SourceGraph:
    """Nodes of the main graph, named as the analysis names them: unnamed ones by operator and position."""
    model = load(model_path)
    nodes = [
        SourceNode(
            name=node.name or f"{node.op_type}_{index}",
            type=node.op_type,
            inputs=tuple(v.name or "" if v is not None else "" for v in node.inputs),
            outputs=tuple(v.name or "" for v in node.outputs),
            label=node.name or "",
        )
        for index, node in enumerate(model.graph)
    ]
    return SourceGraph(nodes, frozenset(model.graph.initializers))
