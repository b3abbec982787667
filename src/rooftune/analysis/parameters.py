"""Counting the parameters of a model: learnable ones and buffers told apart, shared ones once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rooftune.analysis.tensors import Tensor
from rooftune.analysis.work import NodeWork
from rooftune.ops import TensorType
from rooftune.quantities import Count, DType

__all__ = ["Parameters", "count_parameters"]

# Inputs of an operator that hold statistics or quantisation parameters: stored, never learnt by gradient.
_BUFFERS = {
    "BatchNormalization": (3, 4),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
}
# Inputs that shape the computation and are no parameters: target shapes, axes, indices, bounds, sizes.
_SETTINGS = {
    "Clip": (1, 2),
    "Expand": (1,),
    "Dropout": (1, 2),
    "Gather": (1,),
    "GatherElements": (1,),
    "GatherND": (1,),
    "OneHot": (1, 2),
    "Pad": (1, 2, 3),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "RoiAlign": (1, 2),
    "NonMaxSuppression": (2, 3, 4),
    "Slice": (1, 2, 3, 4),
    "Tile": (1,),
    "TopK": (1,),
    "Upsample": (1,),
    "CumSum": (1,),
    "Range": (0, 1, 2),
}
_FLOATS = {DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64}
# Integer weights count where a quantised operator reads them as weights.
_QUANTISED_WEIGHTS = {
    "DequantizeLinear": (0,),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulNBits": (1,),
    "DynamicQuantizeMatMul": (1,),
    "MatMulIntegerToFloat": (1,),
}


@dataclass(frozen=True)
class Parameters:
    """Elements of weights, biases and normalisation parameters (`learnable`) and of statistics (`buffers`)."""

    learnable: Count
    buffers: Count
    weight_tensors: tuple[Tensor, ...]


def count_parameters(nodes: Sequence[NodeWork], storage: dict[str, str]) -> Parameters:
    """Parameters of the model; `storage` maps tensors that share one piece of memory to one name.

    A constant is a parameter when an operator reads it as a weight. Shapes, axes, bounds and scalars of a
    formula (the 0.5 of a GELU) are none. What the graph computes from constants alone counts as the constants it is
    computed from: a bias table that is gathered into a matrix counts as the table.
    """
    made_by = {t.name: n for n in nodes if n.folded for t in n.outputs if t is not None}
    learnable: dict[str, Tensor] = {}
    buffers: dict[str, Tensor] = {}
    for node in nodes:
        if node.folded:
            continue
        for position, tensor in enumerate(node.inputs):
            if tensor is None or not tensor.constant:
                continue
            role = _role(node, position, tensor)
            if role == "setting":
                continue
            for stored in _stored(tensor, made_by) if tensor.name in made_by else (tensor,):
                key = storage.get(stored.name, stored.name)
                if role == "learnable":
                    learnable[key] = stored
                else:
                    buffers.setdefault(key, stored)
    # what one operator learns and another only reads counts as learnt
    buffers = {key: tensor for key, tensor in buffers.items() if key not in learnable}
    return Parameters(
        learnable=sum((_elements(t) for t in learnable.values()), start=0),
        buffers=sum((_elements(t) for t in buffers.values()), start=0),
        weight_tensors=(*learnable.values(), *buffers.values()),
    )


def _stored(tensor: Tensor, made_by: Mapping[str, NodeWork]) -> list[Tensor]:
    """The stored weights a constant is computed from; the constant itself where it is generated from settings."""
    found: dict[str, Tensor] = {}
    seen = {tensor.name}
    open_ones = [tensor]
    while open_ones:
        current = open_ones.pop()
        node = made_by.get(current.name)
        sources = [
            source
            for position, source in enumerate(node.inputs if node is not None else ())
            if source is not None and node is not None and _role(node, position, source) != "setting"
        ]
        if not sources:
            found[current.name] = current
        open_ones += [s for s in sources if s.name not in seen]
        seen.update(s.name for s in sources)
    return list(found.values())


def _role(node: NodeWork, position: int, tensor: Tensor) -> str:
    if not isinstance(tensor.type, TensorType) or tensor.type.dims is None:
        return "setting"
    if position in _SETTINGS.get(node.op, ()):
        return "setting"
    if position in _BUFFERS.get(node.op, ()):
        return "buffer"
    if position in _QUANTISED_WEIGHTS.get(node.op, ()):
        return "learnable"
    if tensor.type.dtype not in _FLOATS or tensor.type.rank == 0:
        return "setting"
    return "learnable"


def _elements(tensor: Tensor) -> Count:
    assert isinstance(tensor.type, TensorType)
    return tensor.type.elements
