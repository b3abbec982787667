"""Giving open dimensions of the inputs a size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import onnx

from rooftune.errors import InputError

__all__ = ["bind", "name_open_dimensions"]


def name_open_dimensions(graph: onnx.GraphProto) -> None:
    """Give every unnamed open dimension of an input a readable name: dimension 2 of `x` becomes `x_d2`."""
    inputs = list(_inputs(graph))
    taken = {d.dim_param for _, dims in inputs for d in dims if d.dim_param}
    for name, dims in inputs:
        stem = re.sub(r"\W", "_", name)
        stem = f"_{stem}" if stem[:1].isdigit() else stem
        for place, dim in enumerate(dims):
            if dim.HasField("dim_value") or dim.dim_param:
                continue
            label = f"{stem}_d{place}"
            while label in taken:
                label += "_"
            taken.add(label)
            dim.dim_param = label


def bind(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int | str]] | None, batch: int | None) -> dict[str, int]:
    """Bind open dimensions by input shapes and by batch size; returns size by name.

    A word in a shape keeps the dimension open. Raises `InputError` for unknown inputs, wrong ranks and
    sizes that contradict the model or each other.
    """
    inputs = dict(_inputs(graph))
    bound: dict[str, int] = {}
    for name, shape in (shapes or {}).items():
        if name not in inputs:
            known = ", ".join(_tensor_inputs(graph)) or "none"
            raise InputError(f"the model has no input {name!r}", f"its inputs are: {known}")
        info = next(i for i in graph.input if i.name == name)
        if not info.type.tensor_type.HasField("shape"):
            _give_shape(info, shape)
            continue
        if len(shape) != len(inputs[name]):
            raise InputError(
                f"the input {name!r} has {len(inputs[name])} dimensions ({_text(inputs[name])}), "
                f"the shape given has {len(shape)}",
                "give one size per dimension",
            )
        for place, (dim, size) in enumerate(zip(inputs[name], shape)):
            if isinstance(size, int):
                _bind_one(name, place, dim, size, bound)
    if batch is not None:
        _bind_batch(graph, batch, bound)
    if bound:
        _replace(graph, bound)
    return bound


def _bind_one(name: str, place: int, dim: onnx.TensorShapeProto.Dimension, size: int, bound: dict[str, int]) -> None:
    if size < 0:
        raise InputError(f"the shape of {name!r} has the negative size {size}", "give sizes of 0 and above")
    if dim.HasField("dim_value"):
        if dim.dim_value != size:
            raise InputError(
                f"dimension {place} of input {name!r} is fixed at {dim.dim_value}, not {size}",
                "give the fixed size, or export the model with an open dimension there",
            )
    elif bound.setdefault(dim.dim_param, size) != size:
        raise InputError(
            f"the dimension {dim.dim_param!r} would be both {bound[dim.dim_param]} and {size}",
            "give equal sizes to dimensions of the same name",
        )


def _bind_batch(graph: onnx.GraphProto, batch: int, bound: dict[str, int]) -> None:
    if batch < 1:
        raise InputError(f"the batch is {batch}", "give a batch of 1 or more")
    inputs = [(name, dims) for name, dims in _inputs(graph) if dims]
    elsewhere = {d.dim_param for _, dims in inputs for d in dims[1:] if d.dim_param}
    open_ones = [
        (name, dims[0])
        for name, dims in inputs
        if not dims[0].HasField("dim_value") and dims[0].dim_param not in elsewhere
    ]
    if not open_ones and not any(dims[0].HasField("dim_value") and dims[0].dim_value == batch for _, dims in inputs):
        found = "; ".join(f"{name} is {_text(dims)}" for name, dims in inputs) or "it has no inputs"
        raise InputError(
            f"the model has no open batch dimension for a batch of {batch}: {found}",
            "export the model with an open first dimension, or leave the batch out",
        )
    for name, dim in open_ones:
        _bind_one(name, 0, dim, batch, bound)


def _replace(graph: onnx.GraphProto, bound: Mapping[str, int]) -> None:
    for info in (*graph.input, *graph.output, *graph.value_info):
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_param in bound:
                dim.dim_value = bound[dim.dim_param]


def _give_shape(info: onnx.ValueInfoProto, shape: Sequence[int | str]) -> None:
    info.type.tensor_type.shape.SetInParent()
    for size in shape:
        dim = info.type.tensor_type.shape.dim.add()
        if isinstance(size, int):
            if size < 0:
                raise InputError(f"the shape of {info.name!r} has the negative size {size}", "give sizes from 0 up")
            dim.dim_value = size
        else:
            dim.dim_param = size


def _tensor_inputs(graph: onnx.GraphProto) -> list[str]:
    constant = {t.name for t in graph.initializer}
    return [i.name for i in graph.input if i.type.HasField("tensor_type") and i.name not in constant]


def _inputs(graph: onnx.GraphProto) -> Iterator[tuple[str, Sequence[onnx.TensorShapeProto.Dimension]]]:
    names = set(_tensor_inputs(graph))
    for info in graph.input:
        if info.name in names:
            yield info.name, info.type.tensor_type.shape.dim


def _text(dims: Sequence[onnx.TensorShapeProto.Dimension]) -> str:
    return "x".join(str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in dims) or "scalar"
