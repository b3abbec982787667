"""A choice that is made already."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import only_number
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class RemoveDecidedWhere(Rule):
    """Replace a Where by the operand it always takes: its condition is constant, or both operands are the same."""

    pattern = ("Where(c, x, x)", "Where($c, x, y)")
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match):
            return None
        taken = found.x
        if "y" in found.found:
            choice = only_number(found.c)
            if choice is None:
                return None
            taken = found.x if choice else found.y
        dims = Match(node, {"taken": taken, "all": node.outputs[0]}, ()).dims
        # a broadcast of the others must leave the taken operand's shape as it is
        unchanged = dims("taken") is not None and dims("taken") == dims("all")
        return Match(node, {**found.found, "taken": taken}, found.nodes) if unchanged else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return [m.taken]

    examples = (
        Example(
            "always the first",
            """(float[2,3] x, float z) => (float[2,3] y) <bool[3] c = {1, 1, 1}>
            { a = Where(c, x, z) y = Relu(a) }""",
            "y = Relu(x)",
        ),
        Example(
            "always the second",
            "(float[N,3] x, float z) => (float[N,3] y) <bool c = {0}> { a = Where(c, z, x) y = Relu(a) }",
            "y = Relu(x)",
            opset=9,
        ),
        Example(
            "the same twice",
            "(float[2,3] x, bool[3] c) => (float[2,3] y) { a = Where(c, x, x) y = Relu(a) }",
            "y = Relu(x)",
        ),
    )
