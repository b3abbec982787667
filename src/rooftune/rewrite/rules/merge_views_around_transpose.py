"""A view behind a Transpose that only adds or removes axes of size one moves before it, where it meets another view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from rooftune.rewrite.axes import permutation
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.noop import sizes_known
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import VIEWS, dims_of, only_reader, producer_of, view_target
from rooftune.verdicts import Exactness, Refusal


class MergeViewsAroundTranspose(Rule):
    """Merge a Reshape behind a Transpose that only adds or removes axes of size one with the Reshape before it.

    Where none stands before it, but a Transpose behind it, the two Transposes become neighbours, which merge.
    Attention heads are taken apart so: Reshape, Transpose, Reshape, and for the keys one more Transpose.
    """

    pattern = ()
    exactness = Exactness.BITWISE
    since = 5

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset(("", op) for op in VIEWS)

    def find(self, node: ir.Node) -> Match | Refusal | None:
        turn = producer_of(node.inputs[0], "Transpose")
        if turn is None or not only_reader(turn.outputs[0]) or not sizes_known(node):
            return None
        x, perm = turn.inputs[0], permutation(turn)
        before, after = dims_of(x), dims_of(node.outputs[0])
        if x is None or perm is None or before is None or after is None or len(perm) != len(before):
            return None
        if [before[p] for p in perm if before[p] != 1] != [d for d in after if d != 1] or 0 in after:
            return None
        above = producer_of(x, *VIEWS)
        nodes: tuple[ir.Node, ...] = (node, turn)
        if above is not None and only_reader(x) and sizes_known(above) and above.inputs[0] is not None:
            x, nodes = above.inputs[0], (node, turn, above)
        elif not _turned_again(node.outputs[0]):
            return None
        shape, order = _rearranged(before, perm, after)
        target = view_target(shape, dims_of(x))
        return None if target is None else Match(node, {"x": x, "target": target, "perm": order}, nodes)

    def replace(self, m: Match, new: Builder) -> Replacement:
        view = new.node("Reshape", [m.x, new.integers(m.target)])[0]
        if m.perm == sorted(m.perm):
            return view
        return new.node("Transpose", [view], perm=m.perm)[0]

    examples = (
        Example(
            "attention heads",
            """(float[64,128] x) => (float[1,4,64,32] y) <int64[3] s = {64,4,32}, int64[4] t = {1,4,64,32}>
            { a = Reshape(x, s) b = Transpose<perm=[1,0,2]>(a) y = Reshape(b, t) }""",
            "v1 = Reshape(x, #)\ny = Transpose<perm=[0,2,1,3]>(v1)",
        ),
        Example(
            "removed axes",
            """(float[N,64,96] x) => (float[3,N,64,32] y) <int64[5] s = {0,64,1,3,32}, int64[1] axis = {3}>
            { a = Reshape(x, s) b = Transpose<perm=[3,0,1,2,4]>(a) y = Squeeze(b, axis) }""",
            "v1 = Reshape(x, #)\ny = Transpose<perm=[2,0,1,3]>(v1)",
        ),
        Example(
            "between two Transposes, which merge then",
            """(float[64,4,32] x) => (float[1,4,32,64] y) <int64[1] axis = {0}>
            { a = Transpose<perm=[1,0,2]>(x) b = Unsqueeze(a, axis) y = Transpose<perm=[0,1,3,2]>(b) }""",
            "v1 = Reshape(x, #)\nb = Transpose<perm=[0,2,1,3]>(v1)\ny = Transpose<perm=[0,1,3,2]>(b)",
        ),
    )


def _turned_again(value: ir.Value) -> bool:
    reader = next((n for n, _ in value.uses()), None)
    return only_reader(value) and reader is not None and reader.op_type == "Transpose" and reader.domain == ""


def _rearranged(before: Sequence[Any], perm: Sequence[int], after: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The shape before the Transpose with the unit axes of `after` in front, and the permutation that then remains."""
    units = sum(d == 1 for d in after)
    wide = [axis for axis, d in enumerate(before) if d != 1]
    place = {axis: units + i for i, axis in enumerate(wide)}
    ones, others = iter(range(units)), iter([place[p] for p in perm if p in place])
    return [1] * units + [before[axis] for axis in wide], [next(ones if d == 1 else others) for d in after]
