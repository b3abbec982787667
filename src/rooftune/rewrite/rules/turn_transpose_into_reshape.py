"""A Transpose that moves only axes of size one moves no element: it is a Reshape."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import permutation
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import dims_of, view_target
from rooftune.verdicts import Exactness, Refusal


class TurnTransposeIntoReshape(Rule):
    """Turn a Transpose that moves only axes of size one into a Reshape, which copies nothing and joins others.

    Transposes that can move or cancel have done so before: `push_transpose_down` runs first in every round.
    """

    pattern = ()
    exactness = Exactness.BITWISE
    since = 5

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Transpose")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        x = node.inputs[0]
        perm, dims = permutation(node), dims_of(x)
        if x is None or perm is None or dims is None or len(dims) != len(perm):
            return None
        moving = [p for p in perm if dims[p] != 1]
        if moving != sorted(moving):
            return None
        target = view_target([dims[p] for p in perm], dims)
        return None if target is None else Match(node, {"x": x, "target": target}, (node,))

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Reshape", [m.x, new.integers(m.target)])[0]

    examples = (
        Example(
            "in front of a Flatten",
            "(float[N,8,1,1] x) => (float[N,8] y) { t = Transpose<perm=[0,2,3,1]>(x) y = Flatten(t) }",
            "t = Reshape(x, #)\ny = Flatten(t)",
        ),
        Example(
            "a batch of one",
            "(float[1,64,8] x, float[8,4] w) => (float[64,1,4] y) { t = Transpose<perm=[1,0,2]>(x) y = MatMul(t, w) }",
            "t = Reshape(x, #)\ny = MatMul(t, w)",
        ),
    )
