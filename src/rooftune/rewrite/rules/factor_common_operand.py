"""Two products with a common operand are added."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import (
    computes_in_floats,
    is_normal,
    joins,
    keeps_shape,
    known,
    only_number,
    refuse_cancelled,
    refuse_rounded,
)
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FactorCommonOperand(Rule):
    """Factor out what two added products have in common: x·a + x·b, x + x·b, or x·a + y·a with one number a."""

    pattern = (
        "Add(Mul(x, $a), Mul(x, $b))",
        "Sub(Mul(x, $a), Mul(x, $b))",
        "Add(x, Mul(x, $b))",
        "Add|Sub(Mul(x, $c), Mul(y, $d))",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node) if computes_in_floats(node) else None
        if not isinstance(found, Match):
            return None  # a shared or different operand is no news at an Add
        if "y" in found.found:
            c, d = only_number(found.c), only_number(found.d)
            same = c is not None and d is not None and c == d and np.isfinite(c) and _fit(found)
            return found if same else None
        a, b = _factors(found)
        return None if a is None or b is None or not joins(a, b) else found

    def guard(self, m: Match) -> Refusal | None:
        if "y" in m.found:
            return refuse_rounded(m.root)
        a, b = (np.asarray(f, np.float64) for f in _factors(m))
        b = b if m.root.op_type == "Add" else -b
        if not is_normal(a + b, m.b.dtype):
            return Refusal(f"the sum of the factors of {m.x.name} is out of the range of normal numbers")
        return refuse_cancelled(a, b) or refuse_rounded(m.root)

    def replace(self, m: Match, new: Builder) -> Replacement:
        if "y" in m.found:
            return new.Mul(new.node(m.root.op_type, [m.x, m.y])[0], m.c)
        a, b = _factors(m)
        sign = 1 if m.root.op_type == "Add" else -1
        total = np.asarray(a, np.float64) + sign * np.asarray(b, np.float64)
        return new.Mul(m.x, new.constant(total, like=m.b))

    examples = (
        Example(
            "two constants",
            """(float[2,3] x) => (float[2,3] y) <float[3] a = {1.0, 2.0, 3.0}, float b = {0.5}>
            { t = Mul(x, a) u = Mul(b, x) y = Add(t, u) }""",
            "y = Mul(x, #)",
        ),
        Example(
            "subtracted",
            """(float[2,3] x) => (float[2,3] y) <float a = {2.0}, float b = {0.5}>
            { t = Mul(x, a) u = Mul(b, x) y = Sub(t, u) }""",
            "y = Mul(x, #)",
            opset=7,
        ),
        Example(
            "once alone",
            "(float[2,3] x) => (float[2,3] y) <float b = {0.5}> { u = Mul(b, x) y = Add(u, x) }",
            "y = Mul(x, #)",
        ),
        Example(
            "the same number",
            """(float[N,3] x, float[N,3] z) => (float[N,3] y) <float a = {0.5}>
            { t = Mul(x, a) u = Mul(z, a) y = Sub(t, u) }""",
            "v1 = Sub(x, z)\ny = Mul(v1, #)",
        ),
        Example(
            "nearly equal",
            """(float[2,3] x) => (float[2,3] y) <float a = {1.0}, float b = {-1.0001}>
            { t = Mul(x, a) u = Mul(b, x) y = Add(t, u) }""",
            refused="nearly cancel",
        ),
    )


def _factors(m: Match) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    a = known(m.a) if "a" in m.found else np.ones((), np.float64)
    return a, known(m.b)


def _fit(m: Match) -> bool:
    """True where both operands have the shape of their sum, before and after their products."""
    dims = m.dims("x")
    return dims is not None and dims == m.dims("y") and keeps_shape(m.c, m.x) and keeps_shape(m.d, m.y)
