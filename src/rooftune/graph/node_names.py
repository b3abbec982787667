"""A name for every node, each its own, so that reports and profiles can speak of them."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["name_nodes"]


def name_nodes(graph: ir.Graph) -> None:
    """Give unnamed nodes of the main graph `<OpType>_<index>` and repeated names a suffix; others keep theirs.

    Names are for people: nothing in a model refers to them, and files are copied as they were.
    """
    taken = {node.name for node in graph if node.name}
    seen: set[str] = set()
    for index, node in enumerate(graph):
        name = node.name or f"{node.op_type}_{index}"
        if name in seen or (not node.name and name in taken):
            name = f"{name}_{index}"
            while name in taken or name in seen:
                name += "_"
        node.name = name
        seen.add(name)
