"""Fully connected layers one after the other, with nothing in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_tensor, is_constant
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats, known
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class MergeConsecutiveGemms(Rule):
    """Merge a Gemm and the Gemm or MatMul before or after it, all weights constant, where one Gemm is cheaper."""

    pattern = ("Gemm(inner=Gemm|MatMul(x, $a, $s?), $b, $t?)", "MatMul(inner=Gemm(x, $a, $s?), $b)")
    exactness = Exactness.REASSOCIATES
    must_pay = True

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node) if computes_in_floats(node) else None
        if not isinstance(found, Match):
            return found
        given = [v for v in (found.a, found.b, found.s, found.found.get("t")) if v is not None]
        if is_constant(found.x) or any(v.is_graph_input() for v in given) or attribute(node, "transA", 0):
            return None
        if any(a.is_ref() for n in (found.inner, node) for a in n.attributes.values()):
            return None
        return found if rank_of(found.x) == 2 and rank_of(found.a) == rank_of(found.b) == 2 else None

    def guard(self, m: Match) -> Refusal | None:
        for bias in (m.s, m.found.get("t")):
            if bias is None:
                continue
            rows = known(bias)
            if rows is None or (rows.ndim == 2 and rows.shape[0] != 1):
                return Refusal(f"the bias {bias.name} is a matrix")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        inner, outer = m.inner, m.root
        a_dims, b_dims = _dims(inner, m.a), _dims(outer, m.b)
        scale = attribute(inner, "alpha", 1.0) * attribute(outer, "alpha", 1.0)

        def product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(scale * (_turned(inner, a) @ _turned(outer, b)))

        bias = None
        if m.s is not None or m.found.get("t") is not None:
            first = attribute(inner, "beta", 1.0) * attribute(outer, "alpha", 1.0)
            second = attribute(outer, "beta", 1.0)

            def total(b: NDArray[Any], *biases: NDArray[Any]) -> NDArray[Any]:
                rest = list(biases)
                sum_ = np.zeros(b_dims[1])
                if m.s is not None:
                    sum_ = sum_ + first * np.broadcast_to(rest.pop(0).reshape(-1), b_dims[0]) @ _turned(outer, b)
                return sum_ + second * rest.pop(0).reshape(-1) if rest else sum_

            sources = [v for v in (m.s, m.found.get("t")) if v is not None]
            bias = new.derive(total, m.b, *sources, shape=(b_dims[1],))
        weight = new.derive(product, m.a, m.b, shape=(a_dims[0], b_dims[1]))
        return new.Gemm(m.x, weight, bias, transA=1 if attribute(inner, "transA", 0) else None)

    examples = (
        Example(
            "two with bias",
            """(float[4,8] x) => (float[4,3] y) <float[8,8] a, float[8] s, float[3,8] b, float[3] t>
            { u = Gemm(x, a, s) y = Gemm<transB=1>(u, b, t) }""",
            "y = Gemm(x, #, #)",
        ),
        Example(
            "scaled, transposed, scalar bias",
            """(float[8,4] x) => (float[4,3] y) <float[8,8] a, float s, float[8,3] b, float[1,3] t>
            { u = Gemm<alpha=0.5, beta=2.0, transA=1, transB=1>(x, a, s) y = Gemm<alpha=3.0, beta=0.5>(u, b, t) }""",
            "y = Gemm<transA=1>(x, #, #)",
            opset=9,
        ),
        Example(
            "behind a MatMul, no bias",
            "(float[4,8] x) => (float[4,3] y) <float[8,8] a, float[8,3] b> { u = MatMul(x, a) y = Gemm(u, b) }",
            "y = Gemm(x, #)",
            opset=11,
        ),
        Example(
            "before a MatMul",
            """(float[4,8] x) => (float[4,3] y) <float[8,8] a, float[8] s, float[8,3] b>
            { u = Gemm(x, a, s) y = MatMul(u, b) }""",
            "y = Gemm(x, #, #)",
        ),
        Example(
            "a bottleneck",
            """(float[4,64] x) => (float[4,64] y) <float[64,2] a, float[2] s, float[2,64] b, float[64] t>
            { u = Gemm(x, a, s) y = Gemm(u, b, t) }""",
            refused="it would not be",
        ),
        Example(
            "a bias per row",
            """(float[4,8] x) => (float[4,3] y) <float[8,8] a, float[4,1] s, float[8,3] b>
            { u = Gemm(x, a, s) y = MatMul(u, b) }""",
            refused="is a matrix",
        ),
    )


def _turned(node: ir.Node, weight: NDArray[Any]) -> NDArray[Any]:
    return weight.T if attribute(node, "transB", 0) else weight


def _dims(node: ir.Node, weight: ir.Value) -> tuple[int, int]:
    rows, columns = constant_tensor(weight).shape.dims
    return (columns, rows) if attribute(node, "transB", 0) else (rows, columns)
