"""What Pads, convolutions and pools put around their inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.match import attribute
from rooftune.rewrite.weights import weight_dims

__all__ = ["fill_of", "is_pointwise", "joined_pads", "pads_of", "pads_with_zeros"]


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
    """True for a Conv that mixes the channels of each position by itself: kernel and strides 1, no pads, one group."""
    dims = weight_dims(conv)
    return (
        dims is not None
        and all(d == 1 for d in dims[2:])
        and all(s == 1 for s in attribute(conv, "strides", ()))
        and attribute(conv, "group", 1) == 1
        and not pads_with_zeros(conv)
    )


def pads_of(pad: ir.Node) -> NDArray[np.int64] | None:
    """What a Pad puts before (first row) and behind (second row) every axis; None where it is not known."""
    rank = rank_of(pad.inputs[0])
    chosen = pad.inputs[3] if len(pad.inputs) > 3 else None
    amounts = _fixed(pad.inputs[1]) if len(pad.inputs) > 1 else attribute(pad, "pads")
    if rank is None or amounts is None:
        return None
    found = np.asarray(amounts, np.int64).reshape(2, -1)
    if chosen is None:
        return found if found.shape[1] == rank else None
    axes = _fixed(chosen)
    if axes is None or axes.size != found.shape[1]:
        return None
    full = np.zeros((2, rank), np.int64)
    full[:, axes.reshape(-1) % rank] = found
    return full


def fill_of(pad: ir.Node) -> float | None:
    """The number that a Pad of mode `constant` fills with; None for other modes and where only the run knows it."""
    if attribute(pad, "mode", "constant") != "constant":
        return None
    if len(pad.inputs) < 2:
        return float(attribute(pad, "value", 0.0))
    if len(pad.inputs) < 3 or pad.inputs[2] is None:
        return 0.0
    value = _fixed(pad.inputs[2])
    return None if value is None or value.size != 1 else float(value.reshape(()))


def joined_pads(pad: ir.Node, window: ir.Node) -> list[int] | None:
    """The `pads` of a convolution or pool that pads for the Pad before it as well, in ONNX's order.

    None where they are not known, negative, on the batch or the channels, or where the window pads automatically.
    """
    amounts = pads_of(pad)
    if amounts is None or (amounts < 0).any() or amounts[:, :2].any():
        return None
    auto = attribute(window, "auto_pad", "NOTSET")
    if auto not in ("NOTSET", "", "VALID"):
        return None
    spatial = amounts[:, 2:].reshape(-1)
    own = [] if auto == "VALID" else attribute(window, "pads", [])
    return [int(a) + int(b) for a, b in zip(spatial, own or [0] * spatial.size, strict=True)]


def _fixed(value: ir.Value | None) -> NDArray[Any] | None:
    """The elements of a constant that no caller can replace."""
    return None if value is None or value.is_graph_input() else constant_of(value)
