"""Which values are constant, and what they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from rooftune.graph.missing_tensor import MissingTensor

__all__ = ["constant_of", "constant_tensor", "is_constant"]

DEFAULT_LIMIT = 1 << 16

_PLAIN = {
    ir.AttributeType.INT: np.int64,
    ir.AttributeType.INTS: np.int64,
    ir.AttributeType.FLOAT: np.float32,
    ir.AttributeType.FLOATS: np.float32,
}


def constant_tensor(value: ir.Value | None) -> Any:
    """The tensor behind an initialiser or the output of a Constant node; None for anything else.

    An initialiser that is also an input is a default the caller may replace; it counts as a constant, as the
    engines treat it when nothing is given.
    """
    if value is None:
        return None
    if value.const_value is not None:
        return value.const_value
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    for name, attribute in node.attributes.items():
        if attribute.is_ref() or attribute.value is None or not name.startswith("value"):
            continue
        if attribute.type == ir.AttributeType.TENSOR:
            return attribute.value
        dtype = _PLAIN.get(attribute.type)
        if dtype is not None:
            return ir.Tensor(np.array(attribute.value, dtype))
        if attribute.type == ir.AttributeType.STRING:
            return ir.StringTensor([attribute.value.encode()], shape=ir.Shape([]))
        if attribute.type == ir.AttributeType.STRINGS:
            return ir.StringTensor([text.encode() for text in attribute.value])
    return None


def is_constant(value: ir.Value | None) -> bool:
    """True for initialisers and outputs of Constant nodes, whatever their size."""
    return constant_tensor(value) is not None


def constant_of(value: ir.Value | None, limit: int = DEFAULT_LIMIT) -> npt.NDArray[Any] | None:
    """The elements of a constant of at most `limit` elements, read now; None for anything else."""
    tensor = constant_tensor(value)
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        return None
    dims = tensor.shape.dims
    if not all(isinstance(d, int) for d in dims) or math.prod(dims) > limit:
        return None
    if isinstance(tensor, MissingTensor):
        return None
    return np.asarray(tensor.numpy())
