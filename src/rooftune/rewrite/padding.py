"""What convolutions and pools put around their inputs."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.match import attribute
from rooftune.rewrite.weights import weight_dims

__all__ = ["is_pointwise", "pads_with_zeros"]


def pads_with_zeros(conv: ir.Node) -> bool:
    """True where a Conv pads its input, or might: automatic padding of kernels larger than one element."""
    auto = attribute(conv, "auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return any(attribute(conv, "pads", ()))
    if auto == "VALID":
        return False
    dims = weight_dims(conv)
    return dims is None or any(d != 1 for d in dims[2:])


def is_pointwise(conv: ir.Node) -> bool:
    """True for a Conv that mixes the channels of every position alone: kernel and strides of 1, no padding, one group."""
    dims = weight_dims(conv)
    return (
        dims is not None
        and all(d == 1 for d in dims[2:])
        and all(s == 1 for s in attribute(conv, "strides", ()))
        and attribute(conv, "group", 1) == 1
        and not pads_with_zeros(conv)
    )
