"""Which initialisers are the same weights, so that shared ones count once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import onnx_ir as ir

from rooftune.graph.constants import constant_tensor
from rooftune.graph.file_tensor import FileTensor, MappedFile
from rooftune.graph.missing_tensor import MissingTensor

__all__ = ["distinct_weights", "missing_key", "region_key", "weight_key", "weights_of"]


def weight_key(value: ir.Value) -> Hashable:
    """Equal for values that hold the same weights: one tensor, or one region of one file.

    Tensors that are equal by chance are not the same: nothing is read. None for values that are not constant.
    """
    tensor = constant_tensor(value)
    if tensor is None:
        return None
    if isinstance(tensor, FileTensor):
        region = tensor.raw
        return region_key(region.file, region.offset, region.length)
    if isinstance(tensor, MissingTensor):
        return missing_key(tensor.raw, tensor.offset, tensor.nbytes)
    if value.const_value is not None:
        return id(value)
    return id(value.producer())


def region_key(file: MappedFile, offset: int, length: int) -> Hashable:
    """Equal for one region of one file."""
    return (str(file.path), offset, length)


def missing_key(location: str, offset: int, nbytes: int) -> Hashable:
    """Equal for one region of one file that is not there."""
    return ("missing", location, offset, nbytes)


def weights_of(graph: ir.Graph) -> Iterator[ir.Value]:
    """Every initialiser and Constant output of a graph and its subgraphs, in order."""
    yield from graph.initializers.values()
    for node in graph:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            yield node.outputs[0]
        for attribute in node.attributes.values():
            if attribute.is_ref():
                continue
            inner: list[Any] = []
            if attribute.type == ir.AttributeType.GRAPH:
                inner = [attribute.value]
            elif attribute.type == ir.AttributeType.GRAPHS:
                inner = list(attribute.value)
            for subgraph in inner:
                yield from weights_of(subgraph)


def distinct_weights(graph: ir.Graph) -> list[ir.Value]:
    """The constants of a graph, one value for every set of shared weights."""
    found: dict[Hashable, ir.Value] = {}
    for value in weights_of(graph):
        found.setdefault(weight_key(value), value)
    return list(found.values())
