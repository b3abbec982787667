"""A model that gives further values of its graph as outputs, for looking inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

__all__ = ["CHOICES", "behind_choices", "scores", "with_outputs"]

CHOICES = frozenset({"TopK", "ArgMax", "ArgMin", "NonMaxSuppression", "Hardmax", "Multinomial"})
"""Operators that turn scores into indices: a difference in the last bit may turn into another answer."""


def with_outputs(model: ir.Model, names: Iterable[str]) -> ir.Model:
    """A copy of a model in which the named values of the main graph are outputs too."""
    copy = model.clone()
    values = {v.name: v for node in copy.graph for v in node.outputs if v.name}
    for name in dict.fromkeys(names):
        value = values.get(name)
        if value is not None and not value.is_graph_output():
            copy.graph.outputs.append(value)
    return copy


def scores(graph: ir.Graph) -> list[str]:
    """Names of the values that choosing operators of the main graph choose by."""
    found: dict[str, None] = {}
    for node in graph:
        if node.op_type in CHOICES and node.domain in ("", "ai.onnx"):
            for value in node.inputs[:2] if node.op_type == "NonMaxSuppression" else node.inputs[:1]:
                if value is not None and value.name and value.producer() is not None:
                    found[value.name] = None
    return list(found)


def behind_choices(graph: ir.Graph) -> set[str]:
    """Names of the outputs of the graph that depend on a choosing operator."""
    reached: set[str] = set()
    for node in graph:
        chooses = node.op_type in CHOICES and node.domain in ("", "ai.onnx")
        if chooses or any(name in reached for name in _reads(node)):
            reached.update(v.name for v in node.outputs if v.name)
    return {v.name for v in graph.outputs if v.name in reached}


def _reads(node: ir.Node) -> Iterator[str]:
    yield from (v.name for v in node.inputs if v is not None and v.name)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
            for inner in attribute.as_graph().all_nodes():
                yield from (v.name for v in inner.inputs if v is not None and v.name)
