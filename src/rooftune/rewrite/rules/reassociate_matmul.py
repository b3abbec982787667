"""Three matrices multiplied in the cheaper order."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_in_floats
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReassociateMatmul(Rule):
    """Multiply three matrices in the other order where that takes fewer operations: (a·b)·c is a·(b·c)."""

    pattern = ("MatMul(MatMul(a, b), c)", "MatMul(a, MatMul(b, c))")
    exactness = Exactness.REASSOCIATES
    must_pay = True

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node) if computes_in_floats(node) else None
        if not isinstance(found, Match):
            return None
        if sum(is_constant(v) for v in (found.a, found.b, found.c)) > 1:
            return None
        shapes = [found.dims(name) for name in "abc"]
        static = all(s is not None and len(s) >= 2 and all(isinstance(d, int) for d in s) for s in shapes)
        return found if static else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        if m.root.inputs[1] is m.c:
            return new.MatMul(m.a, new.MatMul(m.b, m.c))
        return new.MatMul(new.MatMul(m.a, m.b), m.c)

    examples = (
        Example(
            "attention without softmax",
            """(float[2,16,4] q, float[2,4,16] k, float[2,16,4] v) => (float[2,16,4] y)
            { s = MatMul(q, k) y = MatMul(s, v) }""",
            "v1 = MatMul(k, v)\ny = MatMul(q, v1)",
        ),
        Example(
            "to a narrow matrix",
            "(float[16,1] a, float[1,16] b, float[16,16] c) => (float[16,16] y) { t = MatMul(b, c) y = MatMul(a, t) }",
            refused="it would not be",
        ),
        Example(
            "from the left",
            "(float[1,16] a, float[16,16] b, float[16,16] c) => (float[1,16] y) { t = MatMul(b, c) y = MatMul(a, t) }",
            "v1 = MatMul(a, b)\ny = MatMul(v1, c)",
            opset=9,
        ),
    )
