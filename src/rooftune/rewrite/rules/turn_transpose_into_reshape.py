"""A Transpose that moves only axes of size one is a Reshape, which joins the Reshapes around it."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import permutation
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import VIEWS, dims_of, only_reader, producer_of, view_target
from rooftune.verdicts import Exactness, Refusal


class TurnTransposeIntoReshape(Rule):
    """Turn a Transpose that moves only axes of size one, next to a Reshape, into a Reshape."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Transpose")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        x, y = node.inputs[0], node.outputs[0]
        perm, dims = permutation(node), dims_of(x)
        if x is None or perm is None or dims is None or len(dims) != len(perm):
            return None
        moving = [p for p in perm if dims[p] != 1]
        if moving != sorted(moving) or not (_joins_above(x) or _joins_below(y)):
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
    )


def _joins_above(x: ir.Value) -> bool:
    return producer_of(x, *VIEWS) is not None and only_reader(x)


def _joins_below(y: ir.Value) -> bool:
    readers = [node for node, _ in y.uses()]
    return only_reader(y) and readers[0].domain == "" and readers[0].op_type in VIEWS
