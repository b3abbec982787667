"""A subtraction of a constant becomes an addition."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import computes_exactly, computes_in_floats, known
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceSubByAdd(Rule):
    """Replace a subtraction of a constant by an addition, the form in which other rules merge and fold it."""

    pattern = "Sub(x, $c)"
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or is_constant(found.x) or known(found.c) is None:
            return None
        return found if computes_in_floats(node, halves=True) or computes_exactly(node) else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Add(m.x, new.derive(np.negative, m.c, exact=True))

    examples = (
        Example(
            "per channel",
            "(float[2,3] x) => (float[2,3] y) <float[3] c> { y = Sub(x, c) }",
            "y = Add(x, #)",
        ),
        Example(
            "whole numbers",
            "(int64[2,3] x) => (int64[2,3] y) <int64 c = {5}> { y = Sub(x, c) }",
            "y = Add(x, #)",
        ),
        Example(
            "half precision",
            "(float16[2,3] x) => (float16[2,3] y) <float16[1] c> { y = Sub(x, c) }",
            "y = Add(x, #)",
            opset=8,
        ),
    )
