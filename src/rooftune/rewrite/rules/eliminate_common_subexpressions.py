"""What is computed twice is computed once."""

from __future__ import annotations

from onnx_ir.passes.common import CommonSubexpressionEliminationPass

from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.passes import run_pass
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep


class EliminateCommonSubexpressions(Sweep):
    """Let nodes that compute the same from the same inputs be one node."""

    def run(self, place: Workplace) -> list[Applied]:
        return run_pass(place, self.name, CommonSubexpressionEliminationPass())

    examples = (
        Example(
            "twice the same activation",
            "(float[2,3] x) => (float[2,3] y) { a = Relu(x) b = Relu(x) y = Add(a, b) }",
            "a = Relu(x)\ny = Add(a, a)",
        ),
    )
