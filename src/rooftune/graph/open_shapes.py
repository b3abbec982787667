"""Shapes of operators on open dimensions: the arithmetic that onnx's own inference leaves out.

Each rule answers the dimensions of the outputs, as numbers or expressions, or None where it cannot tell.
It sees the dimensions of the inputs (None for an unknown rank) and the small values that are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.graph.small_values import attribute
from rooftune.quantities import Dim, ceil_div, larger, smaller

__all__ = ["RULES", "broadcast"]

Dims = tuple[Dim, ...] | None
Rule = Callable[[ir.Node, Sequence[Dims], Sequence[Any]], Sequence[Dims] | None]


def broadcast(shapes: Sequence[Dims]) -> Dims:
    """Common shape by the rules of numpy; of two different open dimensions the larger (one of them must be 1)."""
    if any(s is None for s in shapes):
        return None
    known = [s for s in shapes if s is not None]
    rank = max(map(len, known), default=0)
    out: list[Dim] = []
    for place in range(-rank, 0):
        found = {s[place] for s in known if len(s) >= -place} - {1}
        fixed = [d for d in found if isinstance(d, int)]
        if not found:
            out.append(1)
        elif len(found) == 1:
            out.append(found.pop())
        else:
            out.append(fixed[0] if fixed else larger(*sorted(found, key=str)))
    return tuple(out)


def _elementwise(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims]:
    return [broadcast(shapes)] * len(node.outputs)


def _as_first(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims]:
    """What is like its first input, also in type: standard operators that onnx infers nothing of."""
    first = node.inputs[0]
    for output in node.outputs:
        output.type = output.type or (None if first is None else first.type)
    return [shapes[0]]


def _windows(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    """Convolutions and pools: windows that slide over the spatial dimensions."""
    data = shapes[0]
    weight = shapes[3] if node.op_type == "QLinearConv" and len(shapes) > 3 else shapes[1] if len(shapes) > 1 else None
    convolves = node.op_type in ("Conv", "ConvInteger", "QLinearConv", "FusedConv")
    if data is None or (convolves and weight is None):
        return None
    spatial = data[2:]
    if node.op_type.startswith("Global"):
        return [(*data[:2], *(1 for _ in spatial))]
    kernel = attribute(node, "kernel_shape") or (weight[2:] if convolves and weight else None)
    if kernel is None or len(kernel) != len(spatial):
        return None
    strides = attribute(node, "strides") or [1] * len(spatial)
    dilations = attribute(node, "dilations") or [1] * len(spatial)
    pads = attribute(node, "pads") or [0] * (2 * len(spatial))
    automatic = attribute(node, "auto_pad", "NOTSET")
    out: list[Dim] = []
    for i, size in enumerate(spatial):
        reach = (kernel[i] - 1) * dilations[i] + 1
        if automatic.startswith("SAME"):
            out.append(ceil_div(size, strides[i]))
            continue
        padding = 0 if automatic == "VALID" else pads[i] + pads[i + len(spatial)]
        steps = size + padding - reach
        ceiled = attribute(node, "ceil_mode", 0)
        out.append(ceil_div(steps, strides[i]) + 1 if ceiled else (steps + strides[i]) // strides[i])
    channels = weight[0] if convolves and weight is not None else data[1]
    return [(data[0], channels, *out)] * len(node.outputs)


def _transposed_windows(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data, weight = shapes[0], shapes[1]
    if data is None or weight is None:
        return None
    count = len(data) - 2
    kernel = attribute(node, "kernel_shape") or weight[2:]
    strides = attribute(node, "strides") or [1] * count
    dilations = attribute(node, "dilations") or [1] * count
    pads = attribute(node, "pads") or [0] * (2 * count)
    extra = attribute(node, "output_padding") or [0] * count
    fixed = attribute(node, "output_shape")
    same = attribute(node, "auto_pad", "NOTSET").startswith("SAME")
    out: list[Dim] = []
    for i, size in enumerate(data[2:]):
        reach = (kernel[i] - 1) * dilations[i] + 1
        if fixed:
            out.append(fixed[i - count])
        elif same:
            out.append(size * strides[i])
        else:
            out.append(strides[i] * (size - 1) + extra[i] + reach - pads[i] - pads[i + count])
    return [(data[0], weight[1] * attribute(node, "group", 1), *out)]


def _matmul(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    left, right = shapes[0], shapes[3] if node.op_type == "QLinearMatMul" else shapes[1]
    if not left or not right:
        return None
    batch = broadcast([left[:-2], right[:-2]]) or ()
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    return [(*batch, *rows, *columns)]


def _reshape(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    asked = values[1] if len(values) > 1 else attribute(node, "shape")
    data = shapes[0]
    if asked is None:
        return None
    out: list[Any] = list(np.asarray(asked, object).ravel())
    if not attribute(node, "allowzero", 0):
        for i, size in enumerate(out):
            if _is(size, 0):
                if data is None or i >= len(data):
                    return None
                out[i] = data[i]
    free = [i for i, size in enumerate(out) if _is(size, -1)]
    if len(free) == 1:
        if data is None:
            return None
        out[free[0]] = divide(math.prod(data), math.prod(size for i, size in enumerate(out) if i != free[0]))
    return [tuple(_whole(size) for size in out)]


def divide(whole: Dim, part: Dim) -> Dim:
    """A quotient that is known to be whole; factors that stand on both sides cancel."""
    if isinstance(whole, int) and isinstance(part, int):
        return whole // part if part else 0
    import sympy

    exact = sympy.cancel(sympy.sympify(whole) / part)
    return exact if sympy.denom(exact) == 1 else whole // part


def _is(size: Any, number: int) -> bool:
    return bool(size == number)


def _whole(size: Any) -> Dim:
    return int(size) if isinstance(size, int | np.integer) or getattr(size, "is_Integer", False) else size


def _flatten(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    if shapes[0] is None:
        return None
    axis = attribute(node, "axis", 1)
    axis += len(shapes[0]) if axis < 0 else 0
    return [(math.prod(shapes[0][:axis]), math.prod(shapes[0][axis:]))]


def _concat(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    known = [s for s in shapes if s]
    if len(known) != len(shapes) or not known:
        return None
    axis = attribute(node, "axis", 1) % len(known[0])
    out = []
    for i, size in enumerate(known[0]):
        column = [s[i] for s in known]
        out.append(sum(column) if i == axis else next((d for d in column if isinstance(d, int)), size))
    return [tuple(out)]


def _split(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data = shapes[0]
    if not data:
        return None
    axis, count = attribute(node, "axis", 0) % len(data), len(node.outputs)
    if len(node.inputs) > 1 and node.inputs[1] is not None and values[1] is None:
        return None  # sizes that only the run knows
    sizes = values[1] if len(values) > 1 and values[1] is not None else attribute(node, "split")
    if sizes is None:
        each = ceil_div(data[axis], count) if attribute(node, "num_outputs") else divide(data[axis], count)
        sizes = [*([each] * (count - 1)), data[axis] - each * (count - 1)]
    return [(*data[:axis], _whole(size), *data[axis + 1 :]) for size in sizes]


def _slice(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data = shapes[0]
    if data is None:
        return None
    if len(node.inputs) > 1:
        starts, ends = values[1], values[2]
        axes, steps = (values[i] if len(values) > i else None for i in (3, 4))
        if any(len(node.inputs) > i and node.inputs[i] is not None and values[i] is None for i in (3, 4)):
            return None
    else:
        starts, ends, axes, steps = attribute(node, "starts"), attribute(node, "ends"), attribute(node, "axes"), None
    if starts is None or ends is None:
        return None
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    out = list(data)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        length = _slice_length(data[int(axis)], _whole(start), _whole(end), int(step))
        if length is None:
            return None
        out[int(axis)] = length
    return [tuple(out)]


def _slice_length(size: Dim, start: Dim, end: Dim, step: int) -> Dim | None:
    """How many elements a slice keeps of a dimension."""
    if step == 0:
        return None
    if all(isinstance(n, int) for n in (size, start, end)):
        return len(range(*slice(start, end, step).indices(size)))
    if step < 0:
        whole = isinstance(start, int) and isinstance(end, int) and start == -1 and end < -(1 << 31) + 2
        return ceil_div(size, -step) if whole else None
    first, last = _within(start, size), _within(end, size)
    return ceil_div(larger(last - first, 0), step)


def _within(bound: Dim, size: Dim) -> Dim:
    """A bound of a slice, counted from the front and held inside the dimension."""
    if isinstance(bound, int):
        if bound >= (1 << 31) - 1:
            return size
        if bound == 0:
            return 0
        return larger(bound + size, 0) if bound < 0 else smaller(bound, size)
    return bound if bound == size else smaller(bound, size)


def _pad(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data = shapes[0]
    pads = values[1] if len(values) > 1 else attribute(node, "pads") or attribute(node, "paddings")
    if data is None or pads is None:
        return None
    axes = values[3] if len(values) > 3 and values[3] is not None else range(len(data))
    out = list(data)
    for i, axis in enumerate(axes):
        out[int(axis)] = data[int(axis)] + _whole(pads[i]) + _whole(pads[i + len(pads) // 2])
    return [tuple(out)]


def _expand(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    return None if values[1] is None else [broadcast([shapes[0], tuple(map(_whole, values[1]))])]


def _filled(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    return None if values[0] is None else [tuple(map(_whole, values[0]))]


def _tile(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    if shapes[0] is None or values[1] is None:
        return None
    return [tuple(size * _whole(times) for size, times in zip(shapes[0], values[1]))]


def _range(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    if any(v is None for v in values[:3]):
        return None
    start, limit, step = (v.ravel()[0] for v in values[:3])
    if all(isinstance(v, np.number) for v in (start, limit, step)):
        return [(max(0, math.ceil((limit - start) / step)),)] if step else None
    count = ceil_div(_whole(limit) - _whole(start), _whole(step))
    return [(count if getattr(count, "is_nonnegative", False) else larger(count, 0),)]


def _resize(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data = shapes[0]
    if data is None or attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return None
    axes = attribute(node, "axes") or range(len(data))
    if len(values) > 3 and values[3] is not None and values[3].size:
        sizes = [_whole(s) for s in values[3]]
    else:
        place = 1 if node.op_type == "Upsample" or len(node.inputs) == 2 else 2
        scales = values[place] if len(values) > place else attribute(node, "scales")
        if scales is None or len(scales) != len(axes):
            return None
        sizes = [_scaled(data[axis], scale) for axis, scale in zip(axes, scales)]
    out = list(data)
    for axis, size in zip(axes, sizes):
        out[axis] = size
    return [tuple(out)]


def _scaled(size: Dim, scale: Any) -> Dim:
    import sympy

    if not isinstance(scale, float | np.floating):
        return sympy.floor(size * scale)
    ratio = sympy.nsimplify(float(scale), rational=True, tolerance=1e-9)
    return _whole(sympy.floor(size * ratio))


def _blocks(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data, block = shapes[0], attribute(node, "blocksize", 1)
    if data is None or len(data) != 4 or block < 1:
        return None
    if node.op_type == "DepthToSpace":
        return [(data[0], divide(data[1], block * block), data[2] * block, data[3] * block)]
    return [(data[0], data[1] * block * block, divide(data[2], block), divide(data[3], block))]


def _reduce(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Any] | None:
    """Axes that only the run knows: their number may still tell the rank (None stands for an open dimension)."""
    data, axes = shapes[0], shapes[1] if len(shapes) > 1 else None
    if data is None:
        return None
    if attribute(node, "keepdims", 1):
        return [(None,) * len(data)]
    if axes is None or len(axes) != 1 or not isinstance(axes[0], int) or not 0 < axes[0] <= len(data):
        return None
    return [(None,) * (len(data) - axes[0])]


_WINDOWS = (
    "Conv", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool", "LpPool",
    "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
)  # fmt: skip
_REDUCE = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
_ELEMENTWISE = (
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow", "Sub", "Sum", "Where", "Xor",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_WINDOWS, _windows),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **{f"Reduce{name}": _reduce for name in _REDUCE},
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "ConvTranspose": _transposed_windows,
    "DepthToSpace": _blocks,
    "Expand": _expand,
    "Flatten": _flatten,
    "GroupNormalization": _as_first,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "MeanVarianceNormalization": _as_first,
    "Pad": _pad,
    "QLinearMatMul": _matmul,
    "Range": _range,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "SpaceToDepth": _blocks,
    "Split": _split,
    "Tile": _tile,
    "Upsample": _resize,
}
