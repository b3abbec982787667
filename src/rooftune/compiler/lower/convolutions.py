"""Conv: over images, and over signals, which are images of one row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of, weights, window
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Convolution
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, default_axes
from rooftune.graph.constants import constant_tensor
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]


def _conv(work: Lowering, node: ir.Node) -> Refusal | None:
    dims, out = static_dims(node.inputs[0]), static_dims(node.outputs[0])
    refused = weights(node, {"weight": 1, "bias": 2})
    if refused is not None or dims is None or out is None or 0 in dims:
        return refused or Refusal("its input is no map of known size")
    weight = constant_tensor(node.inputs[1])
    found = window(node, dims, [int(k) for k in weight.shape[2:]])
    if isinstance(found, Refusal):
        return found
    axes = (IMAGE, CHANNEL, COLUMN) if len(dims) == 3 else default_axes(4)
    x = work.map(node.inputs[0], axes)
    if x is None:
        return Refusal("its input is no map of known size")
    groups = int(attribute(node, "group", 1))
    if groups < 1 or dims[1] % groups or out[1] % groups or tuple(weight.shape[:2]) != (out[1], dims[1] // groups):
        return Refusal("its weights are for other channels")
    if static_dims(input_of(node, 2)) not in (None, (out[1],)):
        return Refusal("its bias is not one number per channel")
    kernel, strides, pads, dilations = found
    name = work.constant(node.inputs[1])
    if len(dims) == 3:
        flat = np.asarray(weight.numpy())
        work.lowered.constants[name] = ir.Tensor(flat.reshape(*flat.shape[:2], 1, flat.shape[2]))
    operation = Convolution(
        nodes=(node.name or "",),
        x=x,
        y=node.outputs[0].name or "",
        weight=name,
        bias=work.constant(input_of(node, 2)),
        kernel=kernel,
        strides=strides,
        pads=pads,
        dilations=dilations,
        groups=groups,
    )
    work.put(operation, node.outputs[0], axes)
    return None


TAKES: Mapping[str, Take] = {"Conv": _conv}
