"""Resize and Upsample: where every row and column of the result is read, worked out as the standard says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.disputed import is_disputed
from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lower.scales import given_scales, is_old, scaled_axes
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Floats, Resize
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_HALF = np.float32(0.5)
_NEAR = 1e-6
"""A place so near to the middle of two pixels is there: rounding to fp32 does not decide."""

_NEAREST: Mapping[str, Callable[[Floats], Floats]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5 - _NEAR),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5 + _NEAR),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _resize(work: Lowering, node: ir.Node) -> Refusal | None:
    dims, out = static_dims(node.inputs[0]), static_dims(node.outputs[0])
    if dims is None or out is None or len(dims) not in (3, 4):
        return Refusal("its input is no map of known size")
    kind, transform = attribute(node, "mode", "nearest"), _transform(node)
    if kind not in ("nearest", "linear"):
        return Refusal(f"it is {kind}")
    if attribute(node, "antialias", 0):
        return Refusal("it smooths before it makes smaller")
    if transform not in _TRANSFORMS:
        return Refusal(f"its places are found by {transform}")
    if is_disputed(node):
        return Refusal("its size is rounded otherwise in fp32")
    scales = _scales(node, dims, out)
    if scales is None:
        return Refusal("its scales are not known")
    places = [_places(node, kind, transform, scale, *sizes) for scale, *sizes in zip(scales, dims, out, strict=True)]
    moved = [d for d in range(len(dims)) if not np.array_equal(places[d], np.arange(dims[d]))]
    axes = _map_axes(len(dims), moved)
    x = None if axes is None else work.map(node.inputs[0], axes)
    if axes is None or x is None:
        return Refusal("it resizes other dimensions than rows and columns")
    at = {axis: tuple(float(p) for p in places[d]) for d, axis in enumerate(axes)}
    operation = Resize((node.name or "",), x, node.outputs[0].name or "", kind, at.get(ROW, (0.0,)), at[COLUMN])
    work.put(operation, node.outputs[0], axes)
    return None


def _map_axes(rank: int, moved: Sequence[int]) -> tuple[int, ...] | None:
    """Axes of a map for every dimension, such that only rows and columns are resized."""
    known: Mapping[int, tuple[tuple[int, ...], ...]] = {
        3: ((IMAGE, CHANNEL, COLUMN), (IMAGE, COLUMN, CHANNEL)),
        4: ((IMAGE, CHANNEL, ROW, COLUMN), (IMAGE, ROW, COLUMN, CHANNEL)),
    }
    return next((axes for axes in known[rank] if all(axes[d] in (ROW, COLUMN) for d in moved)), None)


def _transform(node: ir.Node) -> str:
    return "asymmetric" if is_old(node) else str(attribute(node, "coordinate_transformation_mode", "half_pixel"))


def _scales(node: ir.Node, dims: Sequence[int], out: Sequence[int]) -> Floats | None:
    """How much larger every dimension becomes, in fp32 as the engines reckon."""
    found, sizes = given_scales(node, dims), constant_of(input_of(node, 3))
    if found is not None or sizes is None:
        return found
    found, axes = np.ones(len(dims), np.float32), scaled_axes(node, dims)
    ratios = np.asarray(sizes, np.float32).reshape(-1) / np.asarray([dims[a] for a in axes], np.float32)
    policy = attribute(node, "keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        ratios[:] = ratios.min() if policy == "not_larger" else ratios.max()
    found[axes] = ratios
    return found


def _half_pixel(at: Floats, scale: Floats, size: int, out: int) -> Floats:
    return (at + _HALF) / scale - _HALF


def _half_pixel_symmetric(at: Floats, scale: Floats, size: int, out: int) -> Floats:
    adjustment = np.float32(out) / (scale * np.float32(size))
    middle = np.float32(size) / np.float32(2)
    return middle * (np.float32(1) - adjustment) + (at + _HALF) / scale - _HALF


def _align_corners(at: Floats, scale: Floats, size: int, out: int) -> Floats:
    return at * np.float32(0 if out == 1 else 1) * np.float32(size - 1) / np.float32(max(1, out - 1))


_TRANSFORMS: Mapping[str, Callable[[Floats, Floats, int, int], Floats]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda at, scale, size, out: at / scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": lambda at, scale, size, out: _half_pixel(at, scale, size, out) if out > 1 else at,
    "tf_half_pixel_for_nn": lambda at, scale, size, out: (at + _HALF) / scale,
}
"""Places in the input from places in the result, the scale, and how many there are of both."""


def _places(node: ir.Node, kind: str, transform: str, scale: Floats, size: int, out: int) -> Floats:
    at = np.arange(out, dtype=np.float32)
    if scale != 1 or size != out:
        at = _TRANSFORMS[transform](at, scale, size, out)
    if kind == "nearest":
        # before opset 11 the standard left it open, and engines took the next pixel where they made maps smaller
        default = ("ceil" if scale < 1 else "floor") if is_old(node) else "round_prefer_floor"
        at = _NEAREST[str(attribute(node, "nearest_mode", default))](at.astype(np.float64))
    return np.clip(at, 0, size - 1)


TAKES: Mapping[str, Take] = {"Resize": _resize, "Upsample": _resize}
