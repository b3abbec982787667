"""Mish written out becomes Mish."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.polynomial import FUSED_TYPES
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class FuseMish(Rule):
    """Fuse x·tanh(softplus(x)) into Mish.

    ONNX Runtime runs Mish as these three operators and OpenVINO fuses them itself; nodes fall, time does not.
    Not for double, which ONNX Runtime has no kernel for.
    """

    pattern = "Mul(x, Tanh(Softplus(x)))"
    exactness = Exactness.REASSOCIATES
    since = 18

    def find(self, node: ir.Node) -> Match | Refusal | None:
        return super().find(node) if node.outputs[0].dtype in FUSED_TYPES else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Mish", [m.x])[0]

    examples = (
        Example(
            "written out",
            "(float[2,3] x) => (float[2,3] y) { a = Softplus(x) b = Tanh(a) y = Mul(x, b) }",
            "y = Mish(x)",
        ),
        Example(
            "other operand order",
            "(float[2,3] x) => (float[2,3] y) { a = Softplus(x) b = Tanh(a) y = Mul(b, x) }",
            "y = Mish(x)",
            opset=18,
        ),
        Example(
            "another reader",
            "(float[2,3] x) => (float[2,3] y, float[2,3] z) { a = Softplus(x) b = Tanh(a) y = Mul(x, b) z = Neg(a) }",
            refused="another reader",
        ),
    )
