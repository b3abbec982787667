"""Leaky ReLU written out, or as a PRelu with one slope, becomes LeakyRelu."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import SMALL, Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseLeakyrelu(Rule):
    """Fuse max(x, a·x), a Where of x and a·x, and a PRelu with one slope for all into LeakyRelu.

    ONNX Runtime runs its PRelu many times slower than LeakyRelu, and puts only LeakyRelu into a convolution before
    it; OpenVINO runs all of them alike. Float32 only: LeakyRelu keeps its slope in single precision.
    """

    pattern = (
        "PRelu(x, $slope)",
        "Max(x, Mul(x, $slope))",
        "Where(Greater|GreaterOrEqual(x, $zero), x, Mul(x, $slope))",
        "Where(Less|LessOrEqual(x, $zero), Mul(x, $slope), x)",
    )
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match):
            return found
        if found.x.dtype != ir.DataType.FLOAT or found.slope.is_graph_input():
            return None
        slope, rank, slope_rank = _one_number(found.slope), rank_of(found.x), rank_of(found.slope)
        if slope is None or rank is None or slope_rank is None or slope_rank > rank or not np.isfinite(slope):
            return None
        if node.op_type == "PRelu":
            return found
        if constant_of(found.slope, 1) is None:
            return None
        if node.op_type == "Max":
            return found if 0 < slope <= 1 else None
        zero = None if found.zero.is_graph_input() else constant_of(found.zero, 1)
        if zero is None or zero.size != 1 or zero.reshape(-1)[0] != 0 or (rank_of(found.zero) or 0) > rank:
            return None
        return found if slope > 0 else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        slope = _one_number(m.slope)
        assert slope is not None
        return new.node("LeakyRelu", [m.x], alpha=float(slope))[0]

    examples = (
        Example(
            "PRelu with one slope",
            "(float[1,2,3,3] x) => (float[1,2,3,3] y) <float[2,1,1] a = {0.25, 0.25}> { y = PRelu(x, a) }",
            "y = LeakyRelu<alpha=0.25>(x)",
        ),
        Example(
            "PRelu at an old operator set",
            "(float[1,2,3,3] x) => (float[1,2,3,3] y) <float[1] a = {0.1}> { y = PRelu(x, a) }",
            "y = LeakyRelu<alpha=0.1>(x)",
            opset=7,
        ),
        Example(
            "the larger of x and a part of it",
            "(float[2,3] x) => (float[2,3] y) <float a = {0.1}> { s = Mul(a, x) y = Max(s, x) }",
            "y = LeakyRelu<alpha=0.1>(x)",
        ),
        Example(
            "chosen by sign",
            """(float[2,3] x) => (float[2,3] y) <float a = {0.1}, float zero = {0.0}>
            { c = Greater(x, zero) s = Mul(x, a) y = Where(c, x, s) }""",
            "y = LeakyRelu<alpha=0.1>(x)",
        ),
        Example(
            "chosen by the other sign",
            """(float[2,3] x) => (float[2,3] y) <float a = {0.1}, float zero = {0.0}>
            { c = Less(x, zero) s = Mul(x, a) y = Where(c, s, x) }""",
            "y = LeakyRelu<alpha=0.1>(x)",
        ),
        Example(
            "the product has another reader",
            """(float[2,3] x) => (float[2,3] y, float[2,3] z) <float a = {0.1}>
            { s = Mul(a, x) y = Max(s, x) z = Neg(s) }""",
            refused="another reader",
        ),
    )


def _one_number(value: ir.Value) -> np.ndarray[tuple[()], np.dtype[np.float32]] | None:
    """The number that all elements of a constant are, as an array without dimensions."""
    array = constant_of(value, SMALL)
    if array is None or array.size == 0 or array.dtype != np.float32:
        return None
    first = array.reshape(-1)[0]
    return np.asarray(first) if (array == first).all() else None
