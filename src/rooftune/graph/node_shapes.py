"""Whether what a node makes can have the sizes that are said of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir import serde

from rooftune.graph.constants import constant_of

__all__ = ["contradiction_in"]

_FEW = 64
"""Elements of a constant that may say how large a result is."""


def contradiction_in(node: ir.Node, opset: int) -> str | None:
    """What is wrong where onnx infers other sizes of a node's results than are known, or finds that its inputs do not
    fit each other; None for a node that is right, or that onnx cannot judge.

    opset  version of the standard operators
    """
    schema = _schema(node.op_type, opset)
    if schema is None or not schema.has_type_and_shape_inference_function:
        return None
    types, data = {}, {}
    for value in node.inputs:
        if value is None or not value.name:
            continue
        if value.type is None:
            return None
        types[value.name] = _type_proto(value)
        known = None if value.is_graph_input() else constant_of(value, _FEW)
        if known is not None:
            data[value.name] = onnx.numpy_helper.from_array(known, value.name)
    imports = [onnx.helper.make_opsetid("", schema.since_version)]
    try:
        found = onnx.shape_inference.infer_node_outputs(schema, ir.to_proto(node), types, data, opset_imports=imports)
    except onnx.shape_inference.InferenceError as why:
        return f"its inputs do not fit each other: {_last_line(why)}"
    except Exception:  # what onnx cannot judge
        return None
    for output in node.outputs:
        said, worked_out = output.shape, found.get(output.name or "")
        if said is None or worked_out is None or not worked_out.tensor_type.HasField("shape"):
            continue
        dims = [d.dim_value if d.HasField("dim_value") else None for d in worked_out.tensor_type.shape.dim]
        if len(dims) != len(said) or any(
            isinstance(a, int) and b is not None and a != b for a, b in zip(said, dims, strict=True)
        ):
            return f"{output.name} is said to be {[str(d) for d in said]}, and is {dims}".replace("'", "")
    return None


def _type_proto(value: ir.Value) -> onnx.TypeProto:
    proto = onnx.TypeProto()
    if value.type is not None:
        serde.serialize_type_into(proto, value.type)
    if value.shape is not None:
        serde.serialize_shape_into(proto, value.shape)
    return proto


@lru_cache(maxsize=1024)
def _schema(op_type: str, version: int) -> Any:
    try:
        return onnx.defs.get_schema(op_type, version, "")
    except onnx.defs.SchemaError:
        return None


def _last_line(why: Exception) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[-1][:200]
