"""Finding every tensor of a model: initialisers and attributes, in subgraphs and functions too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

__all__ = ["attributes_in", "graphs_in", "graphs_of", "tensors_in"]

_TENSOR, _GRAPH = onnx.AttributeProto.TENSOR, onnx.AttributeProto.GRAPH
_LISTS = (onnx.AttributeProto.TENSORS, onnx.AttributeProto.GRAPHS)
_PLAIN = (onnx.AttributeProto.INT, onnx.AttributeProto.INTS, onnx.AttributeProto.FLOAT, onnx.AttributeProto.STRING)


def graphs_in(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    """Every subgraph below these nodes, the outer ones first."""
    return graphs_of(attributes_in(nodes))


def graphs_of(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.GraphProto]:
    """The graphs that are the values of these attributes."""
    for attribute in attributes:
        if attribute.type == _GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def attributes_in(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.AttributeProto]:
    """Every attribute of these nodes and of the nodes of their subgraphs, but plain numbers and strings."""
    for node in nodes:
        for attribute in node.attribute:
            kind = attribute.type
            if kind in _PLAIN:
                continue
            yield attribute
            if kind == _GRAPH:
                yield from attributes_in(attribute.g.node)
            elif kind == onnx.AttributeProto.GRAPHS:
                for graph in attribute.graphs:
                    yield from attributes_in(graph.node)


def tensors_in(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every tensor with a name for messages; sparse tensors give their values and their indices."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        for default in function.attribute_proto:
            if default.type == _TENSOR:
                yield f"default of {default.name}", default.t
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, sparse.values
        yield f"indices of {sparse.values.name}", sparse.indices
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, onnx.TensorProto]]:
    for node in nodes:
        for attribute in node.attribute:
            kind = attribute.type
            if kind in _PLAIN:
                continue
            label = f"{attribute.name} of node {node.name or node.op_type}"
            if kind == _TENSOR:
                yield label, attribute.t
            elif kind == onnx.AttributeProto.SPARSE_TENSOR:
                yield label, attribute.sparse_tensor.values
                yield f"indices of {label}", attribute.sparse_tensor.indices
            elif kind == _GRAPH:
                yield from _of_graph(attribute.g)
            elif kind in _LISTS:
                for tensor in attribute.tensors:
                    yield label, tensor
                for graph in attribute.graphs:
                    yield from _of_graph(graph)
