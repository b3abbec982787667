"""What onnx infers of one node: the types of its results, and whether they can be what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import serde

from rooftune.graph.constants import constant_of

__all__ = ["contradiction_in", "infer_node"]

_FEW = 64
"""Elements of a constant that may say how large a result is."""


def infer_node(
    node: ir.Node, opsets: Mapping[str, int], known: Callable[[ir.Value], NDArray[Any] | None]
) -> Mapping[str, onnx.TypeProto] | None:
    """The types of a node's results by onnx's own inference, by name; None where it has none for this node, or the type
    of an input is not known.

    opsets  versions by domain, the standard one as ""
    known   elements of an input, where its numbers may say how large a result is

    Raises what onnx raises for a node that it does not like: InferenceError, and others.
    """
    domain = "" if node.domain == "ai.onnx" else node.domain
    schema = _schema(domain, node.op_type, opsets.get(domain))
    if schema is None or not schema.has_type_and_shape_inference_function:
        return None
    types, data = {}, {}
    for value in node.inputs:
        if value is None or not value.name:
            continue
        if value.type is None:
            return None
        types[value.name] = _type_proto(value)
        numbers = known(value)
        if numbers is not None and numbers.dtype != object and value.dtype is not None:
            fitting = numbers.astype(value.dtype.numpy())
            data[value.name] = ir.to_proto(ir.Tensor(fitting, dtype=value.dtype, name=value.name))
    imports = [onnx.helper.make_opsetid(d, v) for d, v in opsets.items()]
    found: Mapping[str, onnx.TypeProto] = onnx.shape_inference.infer_node_outputs(
        schema, ir.to_proto(node), types, data, opset_imports=imports
    )
    return found


def contradiction_in(node: ir.Node, opsets: Mapping[str, int]) -> str | None:
    """What is wrong where onnx infers other sizes of a node's results than are known, or finds that its inputs do not
    fit each other; None for a node that is right, or that it has no inference for."""
    try:
        found = infer_node(node, opsets, _few_numbers)
    except Exception as why:  # onnx raises many types for nodes it does not like
        return f"its inputs do not fit each other: {_last_line(why)}"
    for output in node.outputs:
        said, made = output.shape, (found or {}).get(output.name or "")
        if said is None or made is None or not made.tensor_type.HasField("shape"):
            continue
        dims = [d.dim_value if d.HasField("dim_value") else None for d in made.tensor_type.shape.dim]
        if len(dims) != len(said) or any(
            isinstance(a, int) and b is not None and a != b for a, b in zip(said, dims, strict=True)
        ):
            return f"{output.name} is said to be {[str(d) for d in said]}, and is {dims}".replace("'", "")
    return None


def _few_numbers(value: ir.Value) -> NDArray[Any] | None:
    return None if value.is_graph_input() else constant_of(value, _FEW)


def _type_proto(value: ir.Value) -> onnx.TypeProto:
    proto = onnx.TypeProto()
    if value.type is not None:
        serde.serialize_type_into(proto, value.type)
    if value.shape is not None:
        serde.serialize_shape_into(proto, value.shape)
    return proto


@lru_cache(maxsize=2048)
def _schema(domain: str, op_type: str, version: int | None) -> onnx.defs.OpSchema | None:
    if version is None:
        return None
    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None


def _last_line(why: Exception) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[-1][:200]
