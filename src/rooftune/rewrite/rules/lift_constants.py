"""Constant nodes become initialisers."""

from __future__ import annotations

from onnx_ir.passes.common import LiftConstantsToInitializersPass

from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.passes import run_pass
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep


class LiftConstants(Sweep):
    """Turn Constant nodes into initialisers, where every tool looks for weights."""

    def run(self, place: Workplace) -> list[Applied]:
        return run_pass(place, self.name, LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0))

    examples = (
        Example(
            "a scalar",
            "(float[2,3] x) => (float[2,3] y) { two = Constant<value = float {2.0}>() y = Mul(x, two) }",
            "y = Mul(x, #)",
        ),
    )
