"""ConvTranspose: over images, and over signals, which are images of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of, numbers, weights
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Transposed
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, default_axes
from rooftune.graph.constants import constant_tensor
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]


def _transposed(work: Lowering, node: ir.Node) -> Refusal | None:
    dims, out = static_dims(node.inputs[0]), static_dims(node.outputs[0])
    refused = weights(node, {"weight": 1, "bias": 2})
    if refused is not None or dims is None or out is None or 0 in dims:
        return refused or Refusal("its input is no map of known size")
    if len(dims) not in (3, 4):
        return Refusal(f"it moves over {len(dims) - 2} dimensions")
    groups = int(attribute(node, "group", 1))
    if groups != 1 and not groups == dims[1] == out[1]:
        return Refusal(f"it has {groups} groups of several channels")
    weight = np.asarray(constant_tensor(node.inputs[1]).numpy())
    if weight.shape[:2] != (dims[1], out[1] // groups) or static_dims(input_of(node, 2)) not in (None, (out[1],)):
        return Refusal("its weights are for other channels")
    kernel, axes = weight.shape[2:], len(dims) - 2
    strides, dilations = numbers(node, "strides", axes), numbers(node, "dilations", axes)
    cut = _cut_before(node, dims[2:], out[2:], kernel, strides, dilations)
    if min(cut) < 0:
        return Refusal("its pads are negative")
    places = (IMAGE, CHANNEL, COLUMN) if axes == 1 else default_axes(4)
    x = work.map(node.inputs[0], places)
    if x is None:
        return Refusal("its input is no map of known size")
    name = work.constant(node.inputs[1])
    if axes == 1:
        work.lowered.constants[name] = ir.Tensor(weight.reshape(*weight.shape[:2], 1, weight.shape[2]))
    operation = Transposed(
        nodes=(node.name or "",),
        x=x,
        y=node.outputs[0].name or "",
        weight=name,
        bias=work.constant(input_of(node, 2)),
        kernel=_pair(kernel, 1),
        strides=_pair(strides, 1),
        pads=_pair(cut, 0),
        dilations=_pair(dilations, 1),
        groups=groups,
    )
    work.put(operation, node.outputs[0], places)
    return None


def _cut_before(
    node: ir.Node,
    sizes: Sequence[int],
    out: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[int, ...]:
    """What is cut from the beginning of every axis: given, or a half of what the result has too much."""
    auto = attribute(node, "auto_pad", "NOTSET")
    if auto in ("NOTSET", "") and not attribute(node, "output_shape", ()):
        return numbers(node, "pads", 2 * len(sizes), 0)[: len(sizes)]
    added = numbers(node, "output_padding", len(sizes), 0)
    found = []
    for size, end, k, s, d, more in zip(sizes, out, kernel, strides, dilations, added, strict=True):
        whole = max(0, (size - 1) * s + more + (k - 1) * d + 1 - end)
        # the odd one is cut behind for SAME_UPPER, and in front else
        found.append(whole // 2 if auto == "SAME_UPPER" else whole - whole // 2)
    return tuple(found)


def _pair(values: Sequence[int], default: int) -> tuple[int, int]:
    """Of rows and columns; one axis is columns."""
    rows, columns = (default, values[0]) if len(values) == 1 else values
    return int(rows), int(columns)


TAKES: Mapping[str, Take] = {"ConvTranspose": _transposed}
