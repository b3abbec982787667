"""Values of small tensors that steer shapes, worked out from constants and from open dimensions.

A value is a numpy array of at most `LIMIT` elements: of numbers, or of objects where an element is an expression
of open dimensions (`[N, 3, floor(H/2)]`). None means that nobody can know it before the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.graph.types import dim_of_text

__all__ = ["LIMIT", "SmallValues"]

LIMIT = 1024
MAX_DEPTH = 150

Array = npt.NDArray[Any]
Evaluate = Callable[[ir.Node, Sequence[Any]], Array | None]


class SmallValues:
    """Remembers what was worked out; ask with `of(value)`."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ir.Value, Array | None]] = {}
        self._depth = 0

    def of(self, value: ir.Value | None) -> Array | None:
        """The elements of a value, or None."""
        if value is None:
            return None
        kept = self._known.get(id(value))
        if kept is not None:
            return kept[1]
        found = self._work_out(value)
        self._known[id(value)] = (value, found)
        return found

    def set(self, value: ir.Value, elements: Array | None) -> None:
        """Say what a value is, for the inputs of subgraphs and functions."""
        self._known[id(value)] = (value, elements)

    def _work_out(self, value: ir.Value) -> Array | None:
        constant = constant_of(value, LIMIT)
        if constant is not None:
            return constant
        node = value.producer()
        if node is None or node.domain not in ("", "ai.onnx") or self._depth > MAX_DEPTH:
            return None
        if node.op_type in ("Shape", "Size"):
            return _shape(node)
        evaluate = EVALUATE.get(node.op_type)
        if evaluate is None or any(_large(v) for v in node.inputs):
            return None
        self._depth += 1
        try:
            inputs = [self.of(v) for v in node.inputs]
            if any(i is None and v is not None for i, v in zip(inputs, node.inputs)):
                return None
            if node.op_type == "Split":
                return _split(node, inputs, value.index() or 0)
            found = evaluate(node, inputs)
            return None if found is None or found.size > LIMIT else _tidy(found)
        except (ArithmeticError, IndexError, TypeError, ValueError, KeyError, AttributeError, MemoryError):
            return None  # a malformed node; whoever runs it will say so
        finally:
            self._depth -= 1


def _large(value: ir.Value | None) -> bool:
    if value is None or value.shape is None:
        return False
    return math.prod(d for d in value.shape if isinstance(d, int)) > LIMIT


def _tidy(array: Array) -> Array:
    """An object array of plain numbers becomes an array of numbers again."""
    if array.dtype != object:
        return array
    flat = [int(e) if getattr(e, "is_Integer", False) else e for e in array.ravel()]
    if all(isinstance(e, bool | np.bool_) for e in flat):
        return np.array(flat, bool).reshape(array.shape)
    if all(isinstance(e, int | np.integer) and abs(int(e)) < 1 << 62 for e in flat):
        return np.array(flat, np.int64).reshape(array.shape)
    return array


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """The value of an attribute, or the default."""
    found = node.attributes.get(name)
    return default if found is None or found.is_ref() else found.value


def _shape(node: ir.Node) -> Array | None:
    source = node.inputs[0] if node.inputs else None
    if source is None or source.shape is None:
        return None
    dims = [d if isinstance(d, int) else None if d.value is None else dim_of_text(d.value) for d in source.shape]
    if any(d is None for d in dims):
        return None
    if node.op_type == "Size":
        return _tidy(np.array(math.prod(dims), object))  # type: ignore[arg-type]
    chosen = dims[attribute(node, "start", 0) : attribute(node, "end", len(dims))]
    return _tidy(np.array(chosen, object)) if chosen else np.zeros(0, np.int64)


def _is_float(node: ir.Node) -> bool:
    dtype = node.outputs[0].dtype or (node.inputs[0].dtype if node.inputs and node.inputs[0] is not None else None)
    return dtype is not None and dtype.is_floating_point()


def _divide(node: ir.Node, values: Sequence[Any]) -> Array | None:
    top, bottom = values
    if bottom.dtype != object and not bottom.all():
        return None
    if _is_float(node):
        return np.asarray(top / bottom)
    if top.dtype != object and bottom.dtype != object:
        return np.asarray(np.sign(top) * np.sign(bottom) * (np.abs(top) // np.abs(bottom)))
    return np.asarray(top // bottom)


def _axes(node: ir.Node, values: Sequence[Any]) -> list[int] | None:
    """Axes from the second input (newer operator sets) or the attribute."""
    if len(values) > 1 and values[1] is not None:
        return [int(a) for a in values[1].ravel()]
    axes = attribute(node, "axes")
    return None if axes is None else list(axes)


def _squeeze(node: ir.Node, values: Sequence[Any]) -> Array:
    axes = _axes(node, values)
    return np.asarray(np.squeeze(values[0], None if axes is None else tuple(axes)))


def _unsqueeze(node: ir.Node, values: Sequence[Any]) -> Array:
    axes = _axes(node, values) or []
    return np.expand_dims(values[0], tuple(axes))


def _slice(node: ir.Node, values: Sequence[Any]) -> Array:
    data = values[0]
    if len(values) > 1:
        starts, ends = values[1], values[2]
        axes = values[3] if len(values) > 3 and values[3] is not None else range(len(starts))
        steps = values[4] if len(values) > 4 and values[4] is not None else [1] * len(starts)
    else:
        starts, ends = attribute(node, "starts"), attribute(node, "ends")
        axes, steps = attribute(node, "axes") or range(len(starts)), [1] * len(starts)
    window = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        size, step = data.shape[int(axis)], int(step)
        last = None if step < 0 and int(end) < -size else int(end)
        window[int(axis)] = slice(int(start), last, step)
    return np.asarray(data[tuple(window)])


def _split(node: ir.Node, values: Sequence[Any], place: int) -> Array:
    axis = attribute(node, "axis", 0)
    sizes = values[1] if len(values) > 1 and values[1] is not None else attribute(node, "split")
    if sizes is None:
        count, whole = len(node.outputs), values[0].shape[axis]
        each = -(-whole // count)
        sizes = [max(0, min(each, whole - each * i)) for i in range(count)]
    return np.asarray(np.split(values[0], np.cumsum(sizes)[:-1].astype(int), axis)[place])


def _range(node: ir.Node, values: Sequence[Any]) -> Array | None:
    start, limit, step = (v.item() for v in values)
    if step == 0 or (limit - start) / step > LIMIT:
        return None
    return np.arange(start, limit, step)


def _filled(node: ir.Node, values: Sequence[Any]) -> Array | None:
    shape = [int(d) for d in values[0]]
    if math.prod(shape) > LIMIT:
        return None
    fill = attribute(node, "value")
    return np.zeros(shape, np.float32) if fill is None else np.full(shape, fill.numpy().ravel()[0])


def _expand(node: ir.Node, values: Sequence[Any]) -> Array | None:
    shape = np.broadcast_shapes(values[0].shape, tuple(int(d) for d in values[1]))
    return np.broadcast_to(values[0], shape) if math.prod(shape) <= LIMIT else None


def _tile(node: ir.Node, values: Sequence[Any]) -> Array | None:
    times = [int(t) for t in values[1]]
    return np.tile(values[0], times) if math.prod(times) * values[0].size <= LIMIT else None


def _reshape(node: ir.Node, values: Sequence[Any]) -> Array:
    shape = [int(d) for d in values[1]]
    if not attribute(node, "allowzero", 0):
        shape = [values[0].shape[i] if d == 0 else d for i, d in enumerate(shape)]
    return np.asarray(values[0].reshape(shape))


def _cast(node: ir.Node, values: Sequence[Any]) -> Array:
    target = values[1].dtype if node.op_type == "CastLike" else ir.DataType(attribute(node, "to")).numpy()
    data: Array = values[0]
    if data.dtype != object:
        return data.astype(target)
    source = node.inputs[0].dtype if node.inputs[0] is not None else None
    truncates = np.issubdtype(target, np.integer) and source is not None and source.is_floating_point()
    return _each(_floor, data) if truncates else data


def _each(function: Callable[..., Any], *arrays: Array) -> Array:
    """Apply to every element, broadcasting; an answer of None makes the whole value unknown."""
    together = np.broadcast_arrays(*arrays)
    found = [function(*elements) for elements in zip(*(a.ravel() for a in together))]
    if any(f is None for f in found):
        raise ValueError("an element cannot be known")
    out = np.empty(len(found), object)
    out[:] = found
    return out.reshape(together[0].shape)


def _floor(element: Any) -> Any:
    import sympy

    return math.floor(element) if isinstance(element, int | float | np.generic) else sympy.floor(element)


def _ceil(element: Any) -> Any:
    return -_floor(-element)


def _extreme(name: str) -> Evaluate:
    def evaluate(node: ir.Node, values: Sequence[Any]) -> Array:
        if all(v.dtype != object for v in values):
            found = values[0]
            for other in values[1:]:
                found = np.maximum(found, other) if name == "Max" else np.minimum(found, other)
            return np.asarray(found)
        import sympy

        return _each(lambda *e: getattr(sympy, name)(*e), *values)

    return evaluate


def _compare(known: str, numeric: Callable[[Any, Any], Any]) -> Evaluate:
    """A comparison; of expressions only where it holds, or fails, for every size of the open dimensions."""

    def evaluate(node: ir.Node, values: Sequence[Any]) -> Array:
        if values[0].dtype != object and values[1].dtype != object:
            return np.asarray(numeric(values[0], values[1]))
        import sympy

        return _each(lambda a, b: getattr(sympy.sympify(a) - b, known), *values)

    return evaluate


def _where(node: ir.Node, values: Sequence[Any]) -> Array:
    return _each(lambda c, a, b: a if c else b, *values)


def _reduce(combine: Callable[..., Any]) -> Evaluate:
    def evaluate(node: ir.Node, values: Sequence[Any]) -> Array:
        axes = _axes(node, values)
        if not axes and attribute(node, "noop_with_empty_axes", 0):
            return np.asarray(values[0])
        keep = bool(attribute(node, "keepdims", 1))
        return np.asarray(combine(values[0], axis=tuple(axes) if axes else None, keepdims=keep))

    return evaluate


def _plain(function: Callable[..., Any]) -> Evaluate:
    return lambda node, values: np.asarray(function(*values))


def _numeric(function: Callable[..., Any]) -> Evaluate:
    """A function that expressions cannot go through."""
    return lambda node, values: None if any(v.dtype == object for v in values) else np.asarray(function(*values))


EVALUATE: dict[str, Evaluate] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "And": _numeric(np.logical_and),
    "Cast": _cast,
    "CastLike": _cast,
    "Ceil": lambda node, values: _each(_ceil, *values[:1]),
    "Concat": lambda node, values: np.concatenate(values, attribute(node, "axis", 0)),
    "ConstantOfShape": _filled,
    "Div": _divide,
    "Equal": _compare("is_zero", np.equal),
    "Expand": _expand,
    "Flatten": lambda node, values: values[0].reshape(math.prod(values[0].shape[: attribute(node, "axis", 1)]), -1),
    "Floor": lambda node, values: _each(_floor, *values[:1]),
    "Gather": lambda node, values: np.asarray(np.take(values[0], values[1].astype(int), attribute(node, "axis", 0))),
    "Greater": _compare("is_positive", np.greater),
    "GreaterOrEqual": _compare("is_nonnegative", np.greater_equal),
    "Identity": _plain(lambda x: x),
    "Less": _compare("is_negative", np.less),
    "LessOrEqual": _compare("is_nonpositive", np.less_equal),
    "Max": _extreme("Max"),
    "Min": _extreme("Min"),
    "Mod": _plain(np.mod),
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "Not": _numeric(np.logical_not),
    "Or": _numeric(np.logical_or),
    "Pow": _numeric(np.power),
    "Range": _range,
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Round": _numeric(np.round),
    "Slice": _slice,
    "Split": lambda node, values: None,  # several outputs: see `SmallValues`
    "Sqrt": _numeric(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(np.subtract),
    "Tile": _tile,
    "Transpose": lambda node, values: np.transpose(values[0], attribute(node, "perm")),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
