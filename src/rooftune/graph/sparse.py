"""Sparse initialisers and constants as ordinary tensors that become dense when somebody asks for their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.tensors_in import attributes_in, graphs_of

__all__ = ["SparseSource", "dense_tensor", "densify"]

SPARSE_MARK = "\0sparse"
MAX_DENSE_BYTES = 1 << 33


@dataclass(frozen=True)
class SparseSource:
    """Values and their places, as they stand in the model."""

    values: Any
    indices: Any
    shape: tuple[int, ...]


def densify(model: onnx.ModelProto, inside: Sequence[onnx.AttributeProto]) -> dict[str, SparseSource]:
    """Turn sparse tensors into marked dense ones in place, since neither onnx_ir nor inference knows them.

    `inside` are the attributes of the nodes of the main graph (`attributes_in`). Returns what the marks stand for.
    """
    found: dict[str, SparseSource] = {}
    attributes = [*inside, *attributes_in(node for function in model.functions for node in function.node)]
    for graph in (model.graph, *graphs_of(attributes)):
        for sparse in graph.sparse_initializer:
            _mark(sparse, graph.initializer.add(), found)
        del graph.sparse_initializer[:]
    for attribute in attributes:
        if attribute.type == onnx.AttributeProto.SPARSE_TENSOR:
            _mark(attribute.sparse_tensor, attribute.t, found)
            attribute.ClearField("sparse_tensor")
            attribute.type = onnx.AttributeProto.TENSOR
            if attribute.name == "sparse_value":
                attribute.name = "value"
    return found


def _mark(sparse: onnx.SparseTensorProto, dense: onnx.TensorProto, found: dict[str, SparseSource]) -> None:
    name = sparse.values.name or "sparse tensor"
    shape = tuple(sparse.dims)
    if any(d < 0 for d in shape):
        raise InputError(f"{name} has a negative dimension: {list(shape)}", "export the model again")
    stored = math.prod(sparse.values.dims)
    places = tuple(sparse.indices.dims)
    if places not in ((stored,), (stored, len(shape))) or sparse.indices.data_type != onnx.TensorProto.INT64:
        raise InputError(f"{name} has {stored} values and indices of shape {list(places)}", "export the model again")
    source = SparseSource(ir.from_proto(sparse.values), ir.from_proto(sparse.indices), shape)
    mark = f"{SPARSE_MARK}{len(found)}"
    found[mark] = source
    dense.name, dense.data_type = sparse.values.name, sparse.values.data_type
    dense.dims.extend(shape)
    dense.data_location = onnx.TensorProto.EXTERNAL
    entry = dense.external_data.add()
    entry.key, entry.value = "location", mark


def dense_tensor(source: SparseSource, tensor: ir.ExternalTensor, resolve: Callable[[Any], Any]) -> ir.LazyTensor:
    """The dense tensor of a sparse one, filled in when first asked for."""
    values, indices = resolve(source.values), resolve(source.indices)

    def fill() -> ir.TensorProtocol:
        count = math.prod(source.shape)
        if count * tensor.dtype.bitwidth // 8 > MAX_DENSE_BYTES:
            raise InputError(f"{tensor.name} is too large to be made dense", "store the tensor in blocks")
        dense = np.zeros(count, tensor.dtype.numpy())
        places = indices.numpy()
        if places.ndim == 2:
            places = np.ravel_multi_index(tuple(places.T), source.shape)
        dense[places] = values.numpy().reshape(-1)
        return ir.Tensor(dense.reshape(source.shape), dtype=tensor.dtype, name=tensor.name)

    return ir.LazyTensor(fill, dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)
