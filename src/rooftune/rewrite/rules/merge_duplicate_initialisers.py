"""Small constants that are equal are stored once."""

from __future__ import annotations

from onnx_ir.passes.common import DeduplicateInitializersPass

from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.passes import run_pass
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep


class MergeDuplicateInitialisers(Sweep):
    """Store small constants that hold the same numbers once; large weights are not read for it."""

    def run(self, place: Workplace) -> list[Applied]:
        return run_pass(place, self.name, DeduplicateInitializersPass())

    examples = (
        Example(
            "two equal scalars",
            """(float[2,3] x) => (float[2,3] y) <float a = {2.0}, float b = {2.0}>
            { t = Mul(x, a) y = Add(t, b) }""",
            "t = Mul(x, #)\ny = Add(t, #)",
        ),
    )
