"""A transposed operand of a Gemm is read as it is, with transA or transB."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import permutation, rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.per_channel import is_float
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FoldTransposeIntoGemm(Rule):
    """Fold the Transpose of a matrix into the Gemm, or the MatMul of two matrices, that reads it."""

    pattern = (
        "gemm=Gemm(a, &turn=Transpose(b), bias?)",
        "gemm=Gemm(&turn=Transpose(a), b, bias?)",
        "gemm=MatMul(a, &turn=Transpose(b))",
        "gemm=MatMul(&turn=Transpose(a), b)",
    )
    exactness = Exactness.REASSOCIATES

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or permutation(found.turn) != (1, 0):
            return None
        matrices = all(rank_of(v) == 2 for v in node.inputs[:2])
        return found if is_float(node.outputs[0]) and (node.op_type == "Gemm" or matrices) else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        side = "transB" if m.gemm.inputs[1] is m.turn.outputs[0] else "transA"
        turned = {side: 1 - int(attribute(m.gemm, side, 0)) or None}
        if m.gemm.op_type == "MatMul":
            if new.opset < 11:
                return Refusal("a Gemm without a bias needs operator set 11")
            return new.Gemm(m.a, m.b, **turned)
        return new.Gemm(m.a, m.b, m.bias, like=m.gemm, **turned)

    examples = (
        Example(
            "second operand",
            """(float[2,3] x, float[4,3] z, float[4] b) => (float[2,4] y) { t = Transpose(z) y = Gemm(x, t, b) }""",
            "y = Gemm<transB=1>(x, z, b)",
        ),
        Example(
            "first operand, transposed already; others read it too",
            """(float[2,3] x, float[3,4] z) => (float[2,4] y, float[3,2] u)
            { t = Transpose<perm=[1,0]>(x) y = Gemm<transA=1>(t, z) u = Relu(t) }""",
            "t = Transpose<perm=[1,0]>(x)\ny = Gemm(x, z)\nu = Relu(t)",
        ),
        Example(
            "both operands, the same value",
            """(float[3,3] x) => (float[3,3] y) { t = Transpose(x) y = Gemm(t, t) }""",
            "y = Gemm<transA=1, transB=1>(x, x)",
        ),
        Example(
            "a MatMul of two matrices",
            """(float[N,3] x, float[4,3] z) => (float[N,4] y) { t = Transpose(z) y = MatMul(x, t) }""",
            "y = Gemm<transB=1>(x, z)",
        ),
        Example(
            "operator set 7",
            """(float[2,3] x, float[4,3] z, float[4] b) => (float[2,4] y) { t = Transpose(z) y = Gemm(x, t, b) }""",
            "y = Gemm<transB=1>(x, z, b)",
            opset=7,
        ),
        Example(
            "a MatMul in operator set 7",
            """(float[2,3] x, float[4,3] z) => (float[2,4] y) { t = Transpose(z) y = MatMul(x, t) }""",
            refused="needs operator set 11",
            opset=7,
        ),
    )
