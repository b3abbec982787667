"""Parts of the graph that depend on no input are computed once, here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.rewrite.constant_part import ConstantPart, constant_parts
from rooftune.rewrite.edit import Workplace, replace_by_constant
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Evaluate, Sweep
from rooftune.verdicts import Exactness

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
        parts = constant_parts(place.ir.graph)
        arrays = _computed_now(evaluate, [p for p in parts if p.bytes_read <= READ_NOW])
        found = []
        for part in parts:
            if part.bytes_read <= READ_NOW:
                known = [v for v in part.outputs if v.name in arrays]
                found += [replace_by_constant(place, self.name, v, ir.Tensor(arrays[v.name or ""])) for v in known]
            elif all(v.dtype in _PLAIN for v in part.outputs):
                model = part.model()
                found += [
                    replace_by_constant(place, self.name, v, _computed_later(evaluate, model, v)) for v in part.outputs
                ]
        return found

    examples = (
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
