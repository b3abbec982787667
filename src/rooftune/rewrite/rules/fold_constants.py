"""Parts of the graph that depend on no input are computed once, here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.small_values import SmallValues
from rooftune.graph.text import node_line
from rooftune.rewrite.constant_part import ConstantPart, constant_parts
from rooftune.rewrite.edit import Workplace, remove_unread
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import label_of
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Evaluate, Sweep

READ_NOW = 1 << 26
"""Parts that read fewer bytes of weights than this are computed at once, larger ones when the model is written."""

_PLAIN = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.INT64, ir.DataType.INT32}


class FoldConstants(Sweep):
    """Compute what depends on constants or on known shapes alone; what would grow the file is left."""

    def run(self, place: Workplace) -> list[Applied]:
        return [*self._shapes(place), *self._computed(place)]

    def _shapes(self, place: Workplace) -> list[Applied]:
        """Whole numbers that follow from constants and from the shapes of values."""
        values = SmallValues()
        found = []
        for node in list(place.all_nodes()):
            if node.graph is None or len(node.outputs) != 1 or place.in_function(node) or node.op_type == "Constant":
                continue
            output = node.outputs[0]
            if output.dtype is None or not _counts(output.dtype) or not output.uses() or output.is_graph_output():
                continue
            elements = values.of(output)
            if elements is None or elements.dtype == object:
                continue
            found.append(_replace(place, self.name, output, ir.Tensor(elements.astype(output.dtype.numpy()))))
        return found

    def _computed(self, place: Workplace) -> list[Applied]:
        """What only the engine itself computes to the last bit; what it cannot compute stays as it is."""
        evaluate = place.evaluate
        if evaluate is None:
            return []
        parts = constant_parts(place.ir.graph)
        arrays = _computed_now(evaluate, [p for p in parts if p.bytes_read <= READ_NOW])
        found = []
        for part in parts:
            if part.bytes_read <= READ_NOW:
                known = [v for v in part.outputs if v.name in arrays]
                found += [_replace(place, self.name, v, ir.Tensor(arrays[v.name or ""])) for v in known]
            elif all(v.dtype in _PLAIN for v in part.outputs):
                model = part.model()
                found += [_replace(place, self.name, v, _computed_later(evaluate, model, v)) for v in part.outputs]
        return found

    examples = (
        Example(
            "a shape computed from a known one",
            """(float[2,3,4] x) => (float[2,12] y) <int64[1] zero = {0}, int64[1] rest = {-1}, int64 axis = {0}>
            { s = Shape(x) n = Gather(s, zero) t = Concat<axis=0>(n, rest) y = Reshape(x, t) }""",
            "y = Reshape(x, #)",
        ),
        Example(
            "floating-point constants",
            """(float[2,3] x) => (float[2,3] y) <float[3] var, float[3] shift>
            { r = Sqrt(var) t = Div(shift, r) y = Add(x, t) }""",
            "y = Add(x, #)",
        ),
    )


def _computed_now(evaluate: Evaluate, parts: Sequence[ConstantPart]) -> dict[str, NDArray[Any]]:
    """Results by name: of all parts in one run, or one by one where some cannot be computed."""
    if not parts:
        return {}
    try:
        return dict(evaluate(ConstantPart.joined(parts).model()))
    except Exception:  # the engine's exceptions have no common type
        if len(parts) == 1:
            return {}
    found: dict[str, NDArray[Any]] = {}
    for part in parts:
        found |= _computed_now(evaluate, [part])
    return found


def _computed_later(evaluate: Evaluate, model: ir.Model, value: ir.Value) -> ir.LazyTensor:
    assert value.dtype is not None and value.shape is not None
    name = value.name or ""
    return ir.LazyTensor(lambda: ir.Tensor(evaluate(model)[name]), dtype=value.dtype, shape=value.shape, name=name)


def _counts(dtype: ir.DataType) -> bool:
    return dtype.is_integer() or dtype == ir.DataType.BOOL


def _replace(place: Workplace, rule: str, value: ir.Value, tensor: ir.TensorProtocol) -> Applied:
    """Let an initialiser take the place of a computed value."""
    node = value.producer()
    assert node is not None
    name = place.names.value(value.name or "constant")
    kind = ir.TensorType(tensor.dtype)
    constant = ir.Value(name=name, type=kind, shape=tensor.shape, const_value=tensor)  # type: ignore[arg-type]
    tensor.name = name
    place.ir.graph.register_initializer(constant)
    value.replace_all_uses_with(constant)
    place.standing[value.name or ""] = constant
    label, shown = label_of(node), node_line(node)
    removed = remove_unread([node])
    return Applied(rule, label, removed=tuple(label_of(n) for n in removed), before=(shown,))
