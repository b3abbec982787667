"""A graph as a `ModelProto` for shape inference: everything but the weights; and shapes back into the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir import serde

from rooftune.graph.wire import LARGE, PAYLOAD_MARK

__all__ = ["skeleton_proto", "take_shapes"]


def skeleton_proto(model: ir.Model) -> onnx.ModelProto:
    """The model with every tensor of 1 KB and more replaced by its type and shape."""
    proto = onnx.ModelProto()
    proto.ir_version = model.ir_version
    for domain, version in model.opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    _graph(model.graph, proto.graph)
    for function in model.functions.values():
        target = proto.functions.add(name=function.name, domain=function.domain, overload=function.overload)
        target.input.extend(v.name for v in function.inputs)
        target.output.extend(v.name for v in function.outputs)
        for attribute in function.attributes.values():
            if attribute.type == ir.AttributeType.UNDEFINED or attribute.value is None:
                target.attribute.append(attribute.name)
            else:
                _attribute(attribute, target.attribute_proto.add())
        for domain, version in function.opset_imports.items():
            target.opset_import.add(domain=domain, version=version)
        _nodes(function, target.node)
    return proto


def _graph(graph: ir.Graph, target: onnx.GraphProto) -> None:
    target.name = graph.name or "graph"
    for value in graph.inputs:
        _value(value, target.input.add())
    for value in graph.outputs:
        _value(value, target.output.add())
    for value in graph.initializers.values():
        if value.const_value is not None:
            _tensor(value.const_value, target.initializer.add()).name = value.name or ""
    _nodes(graph, target.node)
    outputs = {v.name for v in graph.outputs}
    for node in graph:
        for value in node.outputs:
            if value.name and value.name not in outputs and value.type is not None:
                _value(value, target.value_info.add())


def _value(value: ir.Value, target: onnx.ValueInfoProto) -> None:
    target.name = value.name or ""
    if value.type is not None:
        serde.serialize_type_into(target.type, value.type)
        if value.shape is not None:
            serde.serialize_shape_into(target.type, value.shape)


def _nodes(nodes: Iterable[ir.Node], target: Any) -> None:
    for node in nodes:
        out = target.add(op_type=node.op_type, domain=node.domain, name=node.name or "", overload=node.overload)
        out.input.extend("" if v is None else v.name for v in node.inputs)
        out.output.extend(v.name or "" for v in node.outputs)
        for attribute in node.attributes.values():
            _attribute(attribute, out.attribute.add())


def _attribute(attribute: ir.Attr, target: onnx.AttributeProto) -> None:
    target.name = attribute.name
    if attribute.is_ref():
        target.ref_attr_name = attribute.ref_attr_name or ""
        target.type = attribute.type.value  # type: ignore[assignment]
    elif attribute.type == ir.AttributeType.GRAPH:
        target.type = onnx.AttributeProto.GRAPH
        _graph(attribute.value, target.g)
    elif attribute.type == ir.AttributeType.GRAPHS:
        target.type = onnx.AttributeProto.GRAPHS
        for graph in attribute.value:
            _graph(graph, target.graphs.add())
    elif attribute.type == ir.AttributeType.TENSOR:
        target.type = onnx.AttributeProto.TENSOR
        _tensor(attribute.value, target.t)
    else:
        serde.serialize_attribute_into(target, attribute)


def _tensor(tensor: Any, target: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.nbytes < LARGE and not isinstance(tensor, ir.ExternalTensor):
        try:
            serde.serialize_tensor_into(target, tensor)
            return target
        except Exception:  # values that cannot be had now: shape and type must do
            target.Clear()
    target.name, target.data_type = tensor.name or "", tensor.dtype.value
    target.dims.extend(tensor.shape.numpy())
    target.data_location = onnx.TensorProto.EXTERNAL
    target.external_data.add(key="location", value=PAYLOAD_MARK)
    return target


def take_shapes(model: ir.Model, inferred: onnx.ModelProto) -> None:
    """Write the inferred types and shapes into the values of the graph the skeleton was made of."""
    _take(model.graph, inferred.graph)


def _take(graph: ir.Graph, inferred: onnx.GraphProto) -> None:
    types = {info.name: info.type for info in (*inferred.value_info, *inferred.output)}
    for node, proto in zip(graph, inferred.node):
        for value in node.outputs:
            kind = types.get(value.name or "")
            value.shape = None
            if kind is not None:
                value.type = serde.deserialize_type_proto_for_type(kind) or value.type
                value.shape = serde.deserialize_type_proto_for_shape(kind)
        for attribute in proto.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _take(node.attributes[attribute.name].value, attribute.g)
            elif attribute.type == onnx.AttributeProto.GRAPHS:
                for inner, its in zip(node.attributes[attribute.name].value, attribute.graphs):
                    _take(inner, its)
