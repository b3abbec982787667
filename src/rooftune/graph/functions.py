"""What an operator that is defined by other operators does: the nodes of its body, with types bound."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir
from onnx_ir import serde

if TYPE_CHECKING:
    from rooftune.graph.repair import Repair

__all__ = ["function_body", "local_body"]

Functions = Mapping[ir.OperatorIdentifier, ir.Function]


def function_body(node: ir.Node, opset: int, functions: Functions | None = None) -> list[ir.Node] | None:
    """The nodes an operator stands for, with their shapes inferred for this call; None where it is elementary.

    `functions` are the model's own (`model.ir.functions`); operators of the default domain bring their body
    with their definition in operator set `opset`. Inputs of the body carry the types, shapes and constants of
    the node's inputs; its attributes are put in.
    """
    from rooftune.graph.repair import Repair

    repair = Repair({"": opset}, functions or {}, {})
    for value in (*node.inputs, *node.outputs):
        if value is not None:
            repair.allow(value)
    body = local_body(node, functions or {}, repair)
    if body is None and node.domain in ("", "ai.onnx"):
        function = _from_definition(node, opset)
        body = None if function is None else _complete(function, node, repair)
    return None if body is None else list(body)


def local_body(node: ir.Node, functions: Functions, repair: Repair) -> ir.Function | None:
    """A copy of the model's own function for one call, its shapes completed; None where there is none."""
    function = functions.get((node.domain, node.op_type, node.overload))
    return None if function is None else _complete(function.clone(), node, repair)


def _complete(body: ir.Function, node: ir.Node, repair: Repair) -> ir.Function:
    """Bind a body, which is ours to change, to a call and infer its shapes."""
    _bind(body, node, repair)
    opsets, functions_of_caller = repair.opsets, repair.declared
    repair.opsets = {**opsets, **{("" if d == "ai.onnx" else d): v for d, v in body.opset_imports.items()}}
    repair.declared = {}
    try:
        repair.graph(body)
    finally:
        repair.opsets, repair.declared = opsets, functions_of_caller
    for formal, actual in zip(body.outputs, node.outputs) if len(body.outputs) == len(node.outputs) else ():
        if actual.type is not None and formal.type is None:
            formal.type = actual.type
        if actual.shape is not None and not repair.settled(formal) and repair.settled(actual):
            formal.shape = ir.Shape(list(actual.shape))
    return body


def _bind(body: ir.Function, node: ir.Node, repair: Repair) -> None:
    """Put types, shapes, small values and attributes of a call into a body."""
    for place, formal in enumerate(body.inputs):
        actual = node.inputs[place] if place < len(node.inputs) else None
        if actual is not None:
            formal.type = actual.type
            formal.shape = None if actual.shape is None else ir.Shape(list(actual.shape))
            repair.values.set(formal, repair.values.of(actual))
        else:
            for user, index in list(formal.uses()):
                user.replace_input_with(index, None)
    defaults = {name: a for name, a in body.attributes.items() if a.value is not None}
    for inner in body.all_nodes():
        for attribute in list(inner.attributes.values()):
            if not attribute.is_ref():
                continue
            name = attribute.ref_attr_name or ""
            given = node.attributes.get(name) or defaults.get(name)
            if given is None or given.is_ref() or given.value is None:
                del inner.attributes[attribute.name]
            else:
                inner.attributes[attribute.name] = ir.Attr(attribute.name, given.type, given.value)


def _from_definition(node: ir.Node, opset: int) -> ir.Function | None:
    """The body that the definition of a default operator gives for these inputs."""
    if any(v is not None and v.type is None for v in node.inputs):
        return None  # definitions build their body from the types
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        return None
    try:
        if schema.has_context_dependent_function:
            versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
            version = max(versions, default=schema.since_version)
            text = schema.get_context_dependent_function_with_opset_version(
                version, _node_bytes(node), [_type_bytes(v) for v in node.inputs]
            )
        elif schema.has_function:
            version = max((v for v in schema.function_opset_versions if v <= opset), default=schema.since_version)
            text = schema.get_function_with_opset_version(version)
        else:
            return None
        proto = onnx.FunctionProto.FromString(text) if isinstance(text, bytes) else text
        if not proto.node:
            return None
        made = {name for inner in proto.node for name in inner.output} | set(proto.input)
        kept = [name for name in proto.output if name in made]  # outputs nobody asked for have no producer
        del proto.output[:]
        proto.output.extend(kept)
        function: ir.Function = ir.from_proto(proto)
    except Exception:  # a body that cannot be built for these inputs is none
        return None
    for name, default in _defaults(node.op_type, schema.since_version).items():
        if name not in node.attributes:
            function.attributes[name] = default
    return function


@lru_cache(maxsize=512)
def _defaults(op_type: str, version: int) -> dict[str, ir.Attr]:
    schema = onnx.defs.get_schema(op_type, version, "")
    return {
        name: serde.deserialize_attribute(a.default_value)
        for name, a in schema.attributes.items()
        if a.default_value.type != 0
    }


def _node_bytes(node: ir.Node) -> bytes:
    return bytes(ir.to_proto(node).SerializeToString())


def _type_bytes(value: ir.Value | None) -> bytes:
    proto = onnx.TypeProto()
    if value is not None and value.type is not None:
        serde.serialize_type_into(proto, value.type)
        if value.shape is not None:
            serde.serialize_shape_into(proto, value.shape)
    return bytes(proto.SerializeToString())
