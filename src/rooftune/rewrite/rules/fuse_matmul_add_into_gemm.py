"""A product of matrices and the addition of a row become one Gemm."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.gemm import columns_of, is_row
from rooftune.rewrite.match import Match
from rooftune.rewrite.per_channel import is_float
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseMatmulAddIntoGemm(Rule):
    """Fuse a MatMul of two matrices and an Add of one number per column into a Gemm."""

    pattern = "Add(product=MatMul(a, b), row)"
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or not is_float(found.a):
            return None
        if rank_of(found.a) != 2 or not is_row(found.dims("row"), columns_of(found.product)):
            # the rows of a batch of products, as in transformers, are no matrix
            return None
        return found

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Gemm(m.a, m.b, m.row)

    examples = (
        Example(
            "a constant row",
            """(float[N,3] x) => (float[N,4] y) <float[3,4] w, float[4] b> { p = MatMul(x, w) y = Add(b, p) }""",
            "y = Gemm(x, #, #)",
        ),
        Example(
            "everything computed at run time",
            """(double[2,3] x, double[3,K] w, double[1,K] b) => (double[2,K] y) { p = MatMul(x, w) y = Add(p, b) }""",
            "y = Gemm(x, w, b)",
        ),
        Example(
            "operator set 7",
            """(float[2,3] x) => (float[2,4] y) <float[3,4] w, float b = {2}> { p = MatMul(x, w) y = Add(p, b) }""",
            "y = Gemm(x, #, #)",
            opset=7,
        ),
    )
