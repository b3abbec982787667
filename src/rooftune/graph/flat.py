"""A light view of a model whose graph is flat and whose shapes are numbers: all that counting its work needs.

Building the graph of onnx_ir takes longer than counting. Where nothing but counts is asked for, this view of the
inferred model does instead; it exists only where it is certain to say what the graph of onnx_ir would say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import onnx

from rooftune.graph.node_names import node_names
from rooftune.graph.small_values import LIMIT
from rooftune.graph.types import dtype_of
from rooftune.ops import Operator, TensorType, find

__all__ = ["FlatGraph", "FlatNode", "flat_graph"]

_Attribute = onnx.AttributeProto
_READ_ATTRIBUTE: dict[int, Any] = {
    _Attribute.INT: lambda a: a.i,
    _Attribute.INTS: lambda a: tuple(a.ints),
    _Attribute.FLOAT: lambda a: a.f,
    _Attribute.FLOATS: lambda a: tuple(a.floats),
    _Attribute.STRING: lambda a: a.s.decode(),
    _Attribute.STRINGS: lambda a: tuple(s.decode() for s in a.strings),
}
"""Plain values, as onnx_ir gives them; other attributes are no part of the view."""


@dataclass(frozen=True, slots=True)
class FlatNode:
    """A node by names; an absent input or output is `""`. `attributes` holds numbers, texts and tuples of them,
    `operator` the formula.
    """

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    operator: Operator


@dataclass(frozen=True, slots=True)
class FlatGraph:
    """Nodes in an order in which they can run, and what is known of every value they name.

    initialisers  names of stored weights, defaults of inputs among them
    inputs        names of the inputs that a caller must give
    read          names that some node reads
    weights       initialisers and outputs of Constant nodes; equal keys stand for one piece of memory
    """

    nodes: tuple[FlatNode, ...]
    types: Mapping[str, TensorType]
    initialisers: AbstractSet[str]
    inputs: AbstractSet[str]
    outputs: AbstractSet[str]
    read: AbstractSet[str]
    weights: Mapping[str, Hashable]


def flat_graph(
    model: onnx.ModelProto, stored: Sequence[Hashable | None], declared: AbstractSet[str]
) -> FlatGraph | None:
    """The view of a checked and inferred model; None where only the graph of onnx_ir can tell.

    That is where a graph lies in an attribute, the model has functions, an operator has no formula, or a type,
    a rank or a dimension is not known (but of outputs that nobody reads and whose shape is not `declared` either).
    `stored` says where the data of each initialiser lies; None is inside.
    """
    graph = model.graph
    if model.functions or model.configuration:
        return None
    types = _types(graph)
    nodes = None if types is None else _nodes(graph.node)
    if types is None or nodes is None:
        return None
    initialisers = {tensor.name for tensor in graph.initializer}
    made = {name for node in nodes for name in node.outputs if name}
    read = {name for node in nodes for name in node.inputs if name}
    outputs = {info.name for info in graph.output}
    needed = outputs | {node.outputs[0] for node in nodes} | (made & (read | declared))
    if not needed <= types.keys() or not outputs <= made or len(outputs) < len(graph.output):
        return None
    if not _are_text(types) or _computed_split(graph, nodes, stored):
        return None
    weights = {t.name: t.name if place is None else place for t, place in zip(graph.initializer, stored)}
    weights |= {n.outputs[0]: n.outputs[0] for n in nodes if n.op_type == "Constant"}
    return FlatGraph(
        nodes=nodes,
        types=types,
        initialisers=initialisers,
        inputs={info.name for info in graph.input} - initialisers,
        outputs=outputs,
        read=read,
        weights=weights,
    )


def _computed_split(graph: onnx.GraphProto, nodes: Sequence[FlatNode], stored: Sequence[Hashable | None]) -> bool:
    """True where a Split has sizes that are no small constant: onnx's inference guesses them, see `Repair`."""
    splits = [node for node in nodes if node.op_type == "Split" and len(node.inputs) > 1 and node.inputs[1]]
    if not splits:
        return False
    small = {
        tensor.name
        for tensor, place in zip(graph.initializer, stored)
        if place is None and tensor.data_type == onnx.TensorProto.INT64 and math.prod(tensor.dims) <= LIMIT
    }
    return not {node.inputs[1] for node in splits} <= small


def _are_text(names: Iterable[Any]) -> bool:
    """False where protobuf hands out bytes, because a name is not UTF-8."""
    return {*map(type, names)} <= {str}


def _types(graph: onnx.GraphProto) -> dict[str, TensorType] | None:
    """Type of every value by name; None where one is no tensor of known shape."""
    found: dict[str, TensorType] = {}
    kind_of = _kinds()
    for info in (*graph.value_info, *graph.input, *graph.output):
        declared = info.type.tensor_type
        written = declared.shape.dim
        dims = tuple([dim.dim_value for dim in written])
        known = all(dims) or all(dim.HasField("dim_value") for dim in written)  # an open one reads as 0
        kind = kind_of(declared.elem_type, dims)
        if kind is None or not known or not declared.HasField("shape"):
            return None
        found[info.name] = kind
    inputs = {info.name for info in graph.input}
    for tensor in graph.initializer:
        name = tensor.name
        if name in inputs:
            continue  # a default: the input says what may come instead
        kind = kind_of(tensor.data_type, tuple(tensor.dims))
        if kind is None or name in found:
            return None
        found[name] = kind
    return found


def _kinds() -> Callable[[int, tuple[int, ...]], TensorType | None]:
    """A maker of types that makes each only once: a network has a few shapes over and over."""
    made: dict[tuple[int, tuple[int, ...]], TensorType | None] = {}

    def kind_of(element: int, dims: tuple[int, ...]) -> TensorType | None:
        key = (element, dims)
        if key not in made:
            dtype = dtype_of(element)
            made[key] = None if dtype is None else TensorType(dtype, dims)
        return made[key]

    return kind_of


def _nodes(protos: Sequence[onnx.NodeProto]) -> tuple[FlatNode, ...] | None:
    """The nodes by names; None where one has no formula, no first output, or an attribute that is not plain."""
    names = node_names([(node.name, node.op_type) for node in protos])
    if not _are_text(names):
        return None
    found: list[FlatNode] = []
    for node, name in zip(protos, names, strict=True):
        domain = "" if node.domain == "ai.onnx" else node.domain
        attributes = _attributes(node.attribute)
        outputs = tuple(node.output)
        operator = find(domain, node.op_type)
        if attributes is None or not outputs or not outputs[0] or operator is None:
            return None
        found.append(FlatNode(name, node.op_type, domain, tuple(node.input), outputs, attributes, operator))
    return tuple(found)


def _attributes(protos: Iterable[onnx.AttributeProto]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for attribute in protos:
        read = _READ_ATTRIBUTE.get(attribute.type)
        if attribute.ref_attr_name:
            return None
        if read is not None:
            try:
                found[attribute.name] = read(attribute)
            except UnicodeDecodeError:
                return None
        elif attribute.type != _Attribute.TENSOR or attribute.t.data_location == onnx.TensorProto.EXTERNAL:
            return None
    return found if _are_text(found) else None
