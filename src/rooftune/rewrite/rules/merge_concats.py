"""A Concat of Concats is one."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import only_reader, producer_of
from rooftune.verdicts import Exactness, Refusal


class MergeConcats(Rule):
    """Let a Concat take the inputs of the Concats along the same axis that only it reads."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Concat")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        axis = _axis(node)
        inputs: list[ir.Value | None] = []
        merged = []
        for value in node.inputs:
            inner = producer_of(value, "Concat")
            if value is None or inner is None or axis is None or _axis(inner) != axis or not only_reader(value):
                inputs.append(value)
            else:
                inputs += inner.inputs
                merged.append(inner)
        return Match(node, {"inputs": inputs}, (node, *merged)) if merged else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Concat", m.inputs, like=m.root)[0]

    examples = (
        Example(
            "inner Concat first",
            """(float[2,3] a, float[2,4] b, float[2,1] c) => (float[2,8] y)
            { t = Concat<axis=1>(a, b) y = Concat<axis=-1>(t, c) }""",
            "y = Concat<axis=-1>(a, b, c)",
        ),
    )


def _axis(node: ir.Node) -> int | None:
    rank, axis = rank_of(node.outputs[0]), attribute(node, "axis")
    if rank is None or axis is None:
        return None
    return int(axis) % rank
