"""Gather of rows: an embedding of tokens, whose numbers the model is given."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.compiler.lower.node import attribute, weights
from rooftune.compiler.lowering import Lowering, pieces_of, static_dims
from rooftune.compiler.operations import Embedding
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, default_axes, whole_view
from rooftune.verdicts import Refusal

__all__ = ["embed"]

_CASTS = frozenset({"bool", "int32", "int64", "uint8"})


def embed(work: Lowering, node: ir.Node) -> Refusal | None:
    """Take in a Gather whose indices are no constant: they must be integers of an input, and select rows of a table."""
    value = node.inputs[1]
    indices = None if value is None else work.integers.get(value.name or "")
    if indices is None or any(kind not in _CASTS for kind, _ in indices.steps):
        return Refusal("its indices are neither constants nor integers of an input")
    dims, out = static_dims(node.inputs[0]) or (), static_dims(node.outputs[0])
    refused = weights(node, {"table": 0})
    if refused is not None or out is None:
        return refused or Refusal("the size of its result is not known")
    if len(dims) != 2 or int(attribute(node, "axis", 0)) % 2:
        return Refusal("it does not select rows of a table of two dimensions")
    axes = (IMAGE, ROW, COLUMN, CHANNEL) if len(out) == 4 else default_axes(len(out))
    pieces = pieces_of(indices.view, whole_view("", out[:-1], axes[:-1])[0])
    if pieces is None:
        return Refusal("its indices lie too far apart")
    table, y = work.constant(node.inputs[0]), node.outputs[0].name or ""
    operation = Embedding((node.name or "",), indices.view.held, y, table, dims[0], indices, pieces)
    work.put(operation, node.outputs[0], axes)
    return None
