"""Parts of the graph that depend on no input are computed once, here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.rewrite.constant_part import ConstantPart, constant_parts
from rooftune.rewrite.edit import Workplace, replace_by_constant
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Evaluate, Sweep
from rooftune.verdicts import Exactness, Refusal

READ_NOW = 1 << 26
"""Parts that read fewer bytes of weights than this are computed at once, larger ones when the model is written."""

_PLAIN = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.INT64, ir.DataType.INT32}


class FoldConstants(Sweep):
    """Compute what depends on constants alone; what would grow the file, or cannot be computed, is left.

    The values are those of the engine itself, bit by bit. But a weight that was computed and is now a constant may be
    read by another kernel (ONNX Runtime packs the constant operand of a MatMul), which adds in another order.
    """

    exactness = Exactness.REASSOCIATES

    def run(self, place: Workplace) -> list[Applied]:
        evaluate = place.evaluate
        if evaluate is None:
            return []
        made: list[tuple[ir.Value, ir.TensorProtocol]] = []
        for graph in (place.ir.graph, *place.ir.graph.subgraphs()):
            parts = constant_parts(graph, place.ir.opset_imports)
            arrays = _computed_now(evaluate, [p for p in parts if p.bytes_read <= READ_NOW and not p.growth])
            for part in parts:  # all of them before anything is changed, for they share nodes
                results = _results(part, arrays, evaluate)
                if isinstance(results, Refusal):
                    place.refuse(self.name, part.end, results)
                else:
                    made += zip(part.outputs, results, strict=True)
        return [replace_by_constant(place, self.name, value, tensor, free=True) for value, tensor in made]

    examples = (
        Example(
            "floating-point constants",
            """(float[2,3] x) => (float[2,3] y) <float[3] var, float[3] shift>
            { r = Sqrt(var) t = Div(shift, r) y = Add(x, t) }""",
            "y = Add(x, #)",
        ),
        Example(
            "a table of zeros",
            """(float[1024,1024] x) => (float[1024,1024] y) <float zero, int64[2] size = {1024,1024}>
            { t = Expand(zero, size) y = Add(x, t) }""",
            refused="computing it would grow the file by 4,194,284 bytes",
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


def _results(
    part: ConstantPart, arrays: Mapping[str, NDArray[Any]], evaluate: Evaluate
) -> Sequence[ir.TensorProtocol] | Refusal:
    """What the outputs of a part are: computed already, or to be computed when they are asked for."""
    if part.growth:
        return Refusal(f"computing it would grow the file by {part.growth:,} bytes")
    if part.bytes_read > READ_NOW:
        odd = next((v.dtype for v in part.outputs if v.dtype not in _PLAIN), None)
        if odd is not None:
            return Refusal(f"large weights of type {odd.name.lower()} are left to the engine")
        model = part.model()
        return [_later(evaluate, model, v) for v in part.outputs]
    if any(v.name not in arrays for v in part.outputs):
        return Refusal("the engine that computes constants cannot compute it")
    return [ir.Tensor(arrays[v.name or ""]) for v in part.outputs]


def _later(evaluate: Evaluate, model: ir.Model, value: ir.Value) -> ir.LazyTensor:
    assert value.dtype is not None and value.shape is not None
    name = value.name or ""
    return ir.LazyTensor(lambda: ir.Tensor(evaluate(model)[name]), dtype=value.dtype, shape=value.shape, name=name)
