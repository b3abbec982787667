"""Where: one of two values for every element, by a condition that is known ahead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take
from rooftune.compiler.lower.repeats import fixed_numbers, hold_numbers, operand, widened
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Pointwise
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]


def _where(work: Lowering, node: ir.Node) -> Refusal | None:
    condition, out = fixed_numbers(node.inputs[0]), static_dims(node.outputs[0])
    branches = node.inputs[1:3]
    if condition is None:
        return Refusal("its condition is not constant")
    sizes = [static_dims(v) for v in branches]
    if out is None or any(d is None or 0 in d for d in sizes):
        return Refusal("its branches are of no known size")
    # the one that is read where the condition holds is as large as the result, and made by somebody if one is
    first = max((0, 1), key=lambda place: (sizes[place] == out, fixed_numbers(branches[place]) is None))
    y, name = node.outputs[0].name or "", node.name or ""
    view = widened(work, branches[first], out)
    other = None if view is None else operand(work, branches[1 - first], view, f"{y} other")
    holds = condition if first == 0 else ~condition
    known = None if view is None else hold_numbers(work, f"{y} condition", holds.astype(np.float32), view)
    if view is None or other is None or known is None:
        return Refusal("one of its branches would have to be moved about")
    spread = work.lowered.shapes[other] != work.lowered.shapes[view.held]
    operation = Pointwise((name,), view.held, y, "where", other, spread, condition=known)
    work.put_like(operation, node.outputs[0], view)
    return None


TAKES: Mapping[str, Take] = {"Where": _where}
