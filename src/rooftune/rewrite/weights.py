"""The algebra of convolution weights that several rules share: per-channel factors, affine BatchNormalization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of, constant_tensor
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import SMALL, Match, attribute

__all__ = [
    "along_inputs",
    "along_outputs",
    "batchnorm_affine",
    "bias_or_zero",
    "computes_statistics",
    "convolve_affine",
    "derive_bias",
    "output_channels",
    "weight_dims",
]

Floats = NDArray[np.float64]


def along_outputs(factor: Any, weight: Floats, conv: ir.Node) -> Floats:
    """One factor per output channel in the shape in which it multiplies the weight of a convolution.

    Conv keeps weights as (out, in/group, k...), ConvTranspose as (in, out/group, k...), the groups along `in`.
    """
    return _by_group(factor, weight, conv) if conv.op_type == "ConvTranspose" else _by_row(factor, weight)


def along_inputs(factor: Any, weight: Floats, conv: ir.Node) -> Floats:
    """One factor per input channel in the shape in which it multiplies the weight of a convolution."""
    return _by_row(factor, weight) if conv.op_type == "ConvTranspose" else _by_group(factor, weight, conv)


def _by_row(factor: Any, weight: Floats) -> Floats:
    rows: Floats = np.asarray(factor, np.float64).reshape(-1, *[1] * (weight.ndim - 1))
    return rows


def _by_group(factor: Any, weight: Floats, conv: ir.Node) -> Floats:
    """Channels count through the groups on the second axis of the weight; every row has those of its group."""
    group = int(attribute(conv, "group", 1))
    per_group = np.asarray(factor, np.float64).reshape(group, 1, -1)
    rows = np.broadcast_to(per_group, (group, weight.shape[0] // group, per_group.shape[2]))
    return rows.reshape(weight.shape[0], -1, *[1] * (weight.ndim - 2))


def weight_dims(node: ir.Node) -> tuple[Any, ...] | None:
    """The dimensions of the second input, the weight of convolutions, Gemm and MatMul; None where not known."""
    tensor = constant_tensor(node.inputs[1])
    if tensor is not None:
        return tuple(tensor.shape.dims)
    kind = value_type(node.inputs[1])
    return kind.dims if isinstance(kind, TensorType) else None


def output_channels(conv: ir.Node) -> int:
    """How many channels a convolution with a constant weight gives."""
    dims = constant_tensor(conv.inputs[1]).shape.dims
    if conv.op_type != "ConvTranspose":
        return int(dims[0])
    return int(dims[1]) * int(attribute(conv, "group", 1))


def bias_or_zero(m: Match, conv: str = "conv", bias: str = "b") -> Floats:
    """The bias of a matched convolution in float64; zeros where it has none. InputError where its file is missing."""
    if m.found.get(bias) is None:
        return np.zeros(output_channels(m.found[conv]))
    return np.asarray(constant_tensor(m.found[bias]).numpy()).astype(np.float64)


def convolve_affine(m: Match, new: Builder, gain: Floats | None, shift: Floats | None) -> ir.Value:
    """The convolution `m.conv` of gain·x + shift as one of `m.x`: weight `m.w`, bias `m.b`, no zeros padded.

    The gain per input channel goes into the weight; what the shift adds to every output channel is the sum over
    inputs and taps of weight·shift, worked out with the weight when that is written.
    """
    weight, bias = m.w, m.b
    if gain is not None and (gain != 1).any():
        weight = new.derive(lambda w: w * along_inputs(gain, w, m.conv), m.w)
    if shift is not None and shift.any():

        def add_up(w: Floats, *old: Floats) -> Floats:
            added: Floats = (w * along_inputs(shift, w, m.conv)).reshape(w.shape[0], -1).sum(axis=1)
            return added + old[0] if old else added

        sources = [m.w] if m.b is None else [m.w, m.b]
        bias = derive_bias(new, add_up, *sources, size=output_channels(m.conv))
    return new.node(m.conv.op_type, [m.x, weight, bias], like=m.conv)[0]


def derive_bias(new: Builder, compute: Callable[..., Floats], *sources: ir.Value, size: int) -> ir.Value:
    """A bias of this size worked out from a weight, which may go on being read: it is not stored a second time."""
    consumed = list(new.consumed)
    bias = new.derive(compute, *sources, shape=(size,))
    new.consumed[:] = consumed
    return bias


def computes_statistics(norm: ir.Node) -> bool:
    """True where a BatchNormalization may normalise by its own batch, or normalises every element by itself."""
    if attribute(norm, "training_mode", 0) or not attribute(norm, "spatial", 1):
        return True
    return any(v.name or v.uses() for v in norm.outputs[1:])


def batchnorm_affine(m: Match, node: ir.Node | None = None) -> tuple[Floats, Floats] | None:
    """Per-channel gain and shift of a BatchNormalization in inference: y = gain·x + shift.

    gain = scale / √(var + epsilon), shift = bias - mean·gain (ONNX's definition). None where the node computes its
    own statistics or its parameters are not known.
    """
    norm = node or m.root
    if computes_statistics(norm):
        return None
    parts = [constant_of(v, SMALL) for v in norm.inputs[1:5]]
    if len(parts) < 4 or any(p is None for p in parts):
        return None
    scale, bias, mean, var = (np.asarray(p, np.float64) for p in parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = scale / np.sqrt(var + float(attribute(norm, "epsilon", 1e-5)))
        shift = bias - mean * gain
    return (gain, shift) if np.isfinite(gain).all() and np.isfinite(shift).all() else None
