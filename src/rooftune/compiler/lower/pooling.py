"""Pools: the largest number, or the mean, of every window."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from rooftune.compiler.lower.disputed import is_disputed
from rooftune.compiler.lower.node import Take, attribute, window
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Pool
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, default_axes
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]


def _pool(work: Lowering, node: ir.Node) -> Refusal | None:
    dims, out = static_dims(node.inputs[0]), static_dims(node.outputs[0])
    if dims is None or out is None or len([v for v in node.outputs if v.name]) > 1:
        return Refusal("its input is no map of known size, or it gives indices")
    found = window(node, dims, [int(k) for k in attribute(node, "kernel_shape", ())])
    if isinstance(found, Refusal):
        return found
    kernel, strides, pads, dilations = found
    if dilations != (1, 1):
        return Refusal("it is dilated")
    counts = bool(attribute(node, "count_include_pad", 0))
    if is_disputed(node):
        return Refusal("its last window begins beyond the input")
    same = str(attribute(node, "auto_pad", "")).startswith("SAME")
    if same and any(k < s for k, s in zip(kernel, strides, strict=True)):
        return Refusal("its steps are longer than its windows, and what lies between is not agreed on")
    sizes = [(1, *dims[2:])[-2:], (1, *out[2:])[-2:]]
    reach = [(o - 1) * s + k - p for o, s, k, p in zip(sizes[1], strides, kernel, pads[:2], strict=True)]
    if counts and any(r > d + p for r, d, p in zip(reach, sizes[0], pads[2:], strict=True)):
        return Refusal("windows beyond the padding are counted")
    axes = (IMAGE, CHANNEL, COLUMN) if len(dims) == 3 else default_axes(4)
    x = work.map(node.inputs[0], axes)
    if x is None:
        return Refusal("its input is no map of known size")
    kind, y = "max" if node.op_type == "MaxPool" else "mean", node.outputs[0].name or ""
    work.put(Pool((node.name or "",), x, y, kind, kernel, strides, pads, counts), node.outputs[0], axes)
    return None


TAKES: Mapping[str, Take] = dict.fromkeys(("AveragePool", "MaxPool"), _pool)
