"""A name for every node, each its own, so that reports and profiles can speak of them."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

__all__ = ["name_nodes", "node_names"]


def name_nodes(graph: ir.Graph) -> None:
    """Give the nodes of the main graph the names of `node_names`.

    Names are for people: nothing in a model refers to them, and files are copied as they were.
    """
    names = node_names([(node.name or "", node.op_type) for node in graph])
    for node, name in zip(graph, names, strict=True):
        node.name = name


def node_names(nodes: Sequence[tuple[str, str]]) -> list[str]:
    """Names for nodes given by name and operator: unnamed ones get `<OpType>_<index>`, repeated names a suffix."""
    taken = {name for name, _ in nodes if name}
    seen: dict[str, None] = {}
    for index, (given, op_type) in enumerate(nodes):
        name = given or f"{op_type}_{index}"
        if name in seen or (not given and name in taken):
            name = f"{name}_{index}"
            while name in taken or name in seen:
                name += "_"
        seen[name] = None
    return list(seen)
