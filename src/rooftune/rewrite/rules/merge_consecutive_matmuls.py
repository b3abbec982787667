"""Products with two constant matrices, one after the other."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_tensor, is_constant
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class MergeConsecutiveMatmuls(Rule):
    """Merge two matrix products with constant matrices, one after the other, where one product is cheaper."""

    pattern = ("MatMul(MatMul(x, $a), $b)", "MatMul($a, MatMul($b, x))")
    exactness = Exactness.REASSOCIATES
    must_pay = True

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node) if computes_in_floats(node) else None
        if not isinstance(found, Match):
            return found
        matrices = all(v.shape is not None and not v.is_graph_input() for v in (found.a, found.b)) and all(
            constant_tensor(v).shape.rank() == 2 for v in (found.a, found.b)
        )
        return found if matrices and not is_constant(found.x) and rank_of(found.x) is not None else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        a, b = (constant_tensor(v).shape.dims for v in (m.a, m.b))
        merged = new.derive(np.matmul, m.a, m.b, shape=(a[0], b[1]))
        return new.MatMul(m.x, merged) if m.root.inputs[1] is m.b else new.MatMul(merged, m.x)

    examples = (
        Example(
            "from the right",
            "(float[2,5,8] x) => (float[2,5,3] y) <float[8,8] a, float[8,3] b> { t = MatMul(x, a) y = MatMul(t, b) }",
            "y = MatMul(x, #)",
        ),
        Example(
            "from the left",
            "(float[8,5] x) => (float[3,5] y) <float[3,8] a, float[8,8] b> { t = MatMul(b, x) y = MatMul(a, t) }",
            "y = MatMul(#, x)",
            opset=7,
        ),
        Example(
            "low rank",
            "(float[2,64] x) => (float[2,64] y) <float[64,2] a, float[2,64] b> { t = MatMul(x, a) y = MatMul(t, b) }",
            refused="it would not be",
        ),
        Example(
            "another reader",
            """(float[2,8] x) => (float[2,3] y, float[2,8] t) <float[8,8] a, float[8,3] b>
            { t = MatMul(x, a) y = MatMul(t, b) }""",
            refused="an output of the graph",
        ),
    )
