"""A Transpose of a Transpose is one, or none."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import permutation
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import only_reader, producer_of
from rooftune.verdicts import Exactness, Refusal


class MergeTransposes(Rule):
    """Replace two Transposes in a row by one, or by none where the second undoes the first."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Transpose")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        inner = producer_of(node.inputs[0], "Transpose")
        if inner is None or inner.inputs[0] is None:
            return None
        first, second = permutation(inner), permutation(node)
        if first is None or second is None or len(first) != len(second):
            return None
        perm = tuple(first[p] for p in second)
        if perm != tuple(range(len(perm))) and not only_reader(inner.outputs[0]):
            return None
        return Match(node, {"x": inner.inputs[0], "perm": perm}, (node, inner))

    def replace(self, m: Match, new: Builder) -> Replacement:
        value: ir.Value = m.x
        if m.perm == tuple(range(len(m.perm))):
            return value
        return new.node("Transpose", [value], perm=list(m.perm))[0]

    examples = (
        Example(
            "one remains",
            "(float[2,3,4] x) => (float[4,2,3] y) { t = Transpose<perm=[0,2,1]>(x) y = Transpose<perm=[1,0,2]>(t) }",
            "y = Transpose<perm=[2,0,1]>(x)",
        ),
        Example(
            "none remains, though others read the first",
            """(float[2,3,4] x) => (float[2,3,4] y, float[4,3,2] z)
            { t = Transpose(x) u = Transpose(t) y = Relu(u) z = Neg(t) }""",
            "t = Transpose(x)\ny = Relu(x)\nz = Neg(t)",
        ),
    )
