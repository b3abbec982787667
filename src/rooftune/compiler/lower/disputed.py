"""Results that engines make of another size than ONNX infers: nobody can reckon with what follows them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import attribute, window
from rooftune.compiler.lower.scales import given_scales
from rooftune.compiler.lowering import static_dims
from rooftune.verdicts import Refusal

__all__ = ["is_disputed"]


def is_disputed(node: ir.Node) -> bool:
    """True where a pool's last window begins beyond its input, or a scaled size is rounded otherwise in fp32."""
    if node.domain not in ("", "ai.onnx") or not node.inputs:
        return False
    dims, out = static_dims(node.inputs[0]), static_dims(node.outputs[0])
    if dims is None or out is None:
        return False
    if node.op_type in ("AveragePool", "LpPool", "MaxPool"):
        return _leaves_windows_out(node, dims, out)
    return node.op_type in ("Resize", "Upsample") and _rounds(node, dims, out)


def _leaves_windows_out(node: ir.Node, dims: tuple[int, ...], out: tuple[int, ...]) -> bool:
    if not attribute(node, "ceil_mode", 0):
        return False
    found = window(node, dims, [int(k) for k in attribute(node, "kernel_shape", ())])
    if isinstance(found, Refusal):
        return False
    sizes = [(1, *dims[2:])[-2:], (1, *out[2:])[-2:]]
    _, strides, pads, _ = found
    return any((o - 1) * s >= d + p for o, s, d, p in zip(sizes[1], strides, sizes[0], pads[:2], strict=True))


def _rounds(node: ir.Node, dims: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """True where engines, which multiply in fp32, find another size: seven tenths of ten are seven there, not six."""
    scales = given_scales(node, dims)
    return scales is not None and tuple(int(size) for size in np.asarray(dims, np.float32) * scales) != out
