"""Sums with two constants, one after the other."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_tensor
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import (
    computes_exactly,
    computes_in_floats,
    is_normal,
    joins,
    known,
    refuse_cancelled,
    refuse_rounded,
)
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class MergeConsecutiveAdds(Rule):
    """Merge two sums or differences with constants, one after the other, into one."""

    pattern = (
        "Add(inner=Add(x, $a), $b)",
        "Add(inner=Sub($a, x), $b)",
        "Sub($a, inner=Add(x, $b))",
        "Sub($a, inner=Sub($b, x))",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        if not computes_in_floats(node) and not computes_exactly(node):
            return None
        found = super().find(node)
        if not isinstance(found, Match):
            return found
        a, b = known(found.a), known(found.b)
        return None if a is None or b is None or not joins(a, b) else found

    def guard(self, m: Match) -> Refusal | None:
        if computes_exactly(m.root):
            return None
        a, b = (np.asarray(known(v), np.float64) for v in (m.a, m.b))
        b = b if m.root.op_type == "Add" else -b
        if not is_normal(a + b, m.a.dtype):
            return Refusal(f"{m.a.name} and {m.b.name} together are out of the range of normal numbers")
        return refuse_cancelled(a, b) or refuse_rounded(m.root)

    def replace(self, m: Match, new: Builder) -> Replacement:
        shape = np.broadcast_shapes(*(constant_tensor(v).shape.dims for v in (m.a, m.b)))
        if m.root.op_type == "Add":
            total = new.derive(lambda a, b: a + b, m.a, m.b, shape=shape)
        else:
            total = new.derive(lambda a, b: a - b, m.a, m.b, shape=shape)
        negated = (m.inner.op_type == "Sub") != (m.root.op_type == "Sub")
        return new.Sub(total, m.x) if negated else new.Add(m.x, total)

    examples = (
        Example(
            "scalar and per channel",
            """(float[2,3,4] x) => (float[2,3,4] y) <float[3,1] var_a, float b = {0.5}>
            { t = Add(var_a, x) y = Add(t, b) }""",
            "y = Add(x, #)",
        ),
        Example(
            "from a constant",
            "(float[2,3] x) => (float[2,3] y) <float a = {3.0}, float b = {1.0}> { t = Sub(a, x) y = Add(b, t) }",
            "y = Sub(#, x)",
        ),
        Example(
            "a sum from a constant",
            "(float[2,3] x) => (float[2,3] y) <float a = {3.0}, float b = {1.0}> { t = Add(x, b) y = Sub(a, t) }",
            "y = Sub(#, x)",
            opset=7,
        ),
        Example(
            "a difference from a constant",
            "(int64[2,3] x) => (int64[2,3] y) <int64 a = {3}, int64 b = {1}> { t = Sub(b, x) y = Sub(a, t) }",
            "y = Add(x, #)",
        ),
        Example(
            "rounding by a large number",
            """(float[2,3] x) => (float[2,3] y) <float a = {12582912.0}, float b = {-12582912.0}>
            { t = Add(x, a) y = Add(t, b) }""",
            refused="cancel",
        ),
        Example(
            "another reader",
            """(float[2,3] x) => (float[2,3] y, float[2,3] z) <float a = {2.0}, float b = {3.0}>
            { t = Add(x, a) y = Add(t, b) z = Relu(t) }""",
            refused="another reader",
        ),
    )
