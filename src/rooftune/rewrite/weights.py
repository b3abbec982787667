"""The algebra of convolution weights that several rules share: per-channel factors, affine BatchNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of, constant_tensor
from rooftune.rewrite.match import SMALL, Match, attribute

__all__ = ["along_inputs", "along_outputs", "batchnorm_affine", "bias_or_zero", "output_channels"]

Floats = NDArray[np.float64]


def along_outputs(factor: Any, weight: Floats, conv: ir.Node) -> Floats:
    """One factor per output channel in the shape in which it multiplies the weight of a convolution.

    Conv keeps weights as (out, in/group, k...), ConvTranspose as (in, out/group, k...), the groups along `in`.
    """
    factor = np.asarray(factor, np.float64).reshape(-1)
    if conv.op_type != "ConvTranspose":
        return factor.reshape(-1, *[1] * (weight.ndim - 1))
    group = int(attribute(conv, "group", 1))
    per_group = factor.reshape(group, 1, -1)
    rows = np.broadcast_to(per_group, (group, weight.shape[0] // group, per_group.shape[2]))
    return rows.reshape(weight.shape[0], -1, *[1] * (weight.ndim - 2))


def along_inputs(factor: Any, weight: Floats, conv: ir.Node) -> Floats:
    """One factor per input channel in the shape in which it multiplies the weight of a Conv."""
    factor = np.asarray(factor, np.float64).reshape(-1)
    group = int(attribute(conv, "group", 1))
    per_group = factor.reshape(group, 1, -1)
    rows = np.broadcast_to(per_group, (group, weight.shape[0] // group, per_group.shape[2]))
    return rows.reshape(weight.shape[0], -1, *[1] * (weight.ndim - 2))


def output_channels(conv: ir.Node) -> int:
    """How many channels a convolution with a constant weight gives."""
    dims = constant_tensor(conv.inputs[1]).shape.dims
    if conv.op_type != "ConvTranspose":
        return int(dims[0])
    return int(dims[1]) * int(attribute(conv, "group", 1))


def bias_or_zero(m: Match, conv: str = "conv", bias: str = "b") -> Floats:
    """The bias of a matched convolution in float64; zeros where it has none."""
    if m.found.get(bias) is None:
        return np.zeros(output_channels(m.found[conv]))
    values = m.array(bias)
    assert values is not None
    return values.astype(np.float64)


def batchnorm_affine(m: Match, node: ir.Node | None = None) -> tuple[Floats, Floats] | None:
    """Per-channel gain and shift of a BatchNormalization in inference: y = gain·x + shift.

    gain = scale / √(var + epsilon), shift = bias - mean·gain (ONNX's definition). None where the node computes its
    own statistics or its parameters are not known.
    """
    norm = node or m.root
    if attribute(norm, "training_mode", 0) or any(v.uses() or v.is_graph_output() for v in norm.outputs[1:]):
        return None
    parts = [constant_of(v, SMALL) for v in norm.inputs[1:5]]
    if len(parts) < 4 or any(p is None for p in parts):
        return None
    scale, bias, mean, var = (np.asarray(p, np.float64) for p in parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = scale / np.sqrt(var + float(attribute(norm, "epsilon", 1e-5)))
        shift = bias - mean * gain
    return (gain, shift) if np.isfinite(gain).all() and np.isfinite(shift).all() else None
