"""Parts of the graph that depend on no input are computed once, here."""

from __future__ import annotations

from functools import partial
from typing import Any

import onnx_ir as ir

from rooftune.graph.small_values import SmallValues
from rooftune.graph.text import node_line
from rooftune.rewrite.constant_part import ConstantPart, constant_parts
from rooftune.rewrite.edit import Workplace, remove_unread
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import label_of
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep

READ_NOW = 1 << 24
"""Parts that read fewer bytes of weights than this are computed at once, larger ones when the model is written."""


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
        """What only the engine itself computes to the last bit."""
        evaluate = place.evaluate
        if evaluate is None:
            return []
        parts = constant_parts(place.ir.graph)
        now = [p for p in parts if p.bytes_read <= READ_NOW]
        later = [p for p in parts if p.bytes_read > READ_NOW]
        found = []
        if now:
            arrays = evaluate(ConstantPart.joined(now).model())
            outputs = [v for p in now for v in p.outputs]
            found += [_replace(place, self.name, v, ir.Tensor(arrays[v.name or ""])) for v in outputs]
        for part in later:
            model = part.model()
            for value in part.outputs:
                assert value.dtype is not None and value.shape is not None
                lazy = ir.LazyTensor(
                    partial(_one, evaluate, model, value.name or ""), dtype=value.dtype, shape=value.shape
                )
                found.append(_replace(place, self.name, value, lazy))
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


def _one(evaluate: Any, model: ir.Model, name: str) -> ir.TensorProtocol:
    return ir.Tensor(evaluate(model)[name])


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
