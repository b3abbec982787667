"""Squeezes and Unsqueezes in a row become one or none, whatever the open dimensions are."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import axes_of, rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import only_reader, producer_of, squeezed, unsqueezed
from rooftune.verdicts import Exactness, Refusal

PAIR = ("Squeeze", "Unsqueeze")


class MergeSqueezeUnsqueeze(Rule):
    """Merge Squeeze and Unsqueeze in a row into one of them, or into nothing."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset(("", op) for op in PAIR)

    def find(self, node: ir.Node) -> Match | Refusal | None:
        inner = producer_of(node.inputs[0], *PAIR)
        if inner is None or inner.inputs[0] is None:
            return None
        first, second, rank = axes_of(inner), axes_of(node), rank_of(inner.inputs[0])
        if first is None or second is None or rank is None:
            return None
        kept = _apply(node.op_type, second, _apply(inner.op_type, first, list(range(rank))))
        dropped = [a for a in range(rank) if a not in kept]
        added = [i for i, a in enumerate(kept) if a is None]
        if (dropped and added) and sorted(dropped) != added:
            return None
        if (dropped or added) and not only_reader(inner.outputs[0]):
            return None
        if dropped and added:  # the same axes go and come back
            dropped, added = [], []
        found = {"x": inner.inputs[0], "dropped": dropped, "added": added}
        return Match(node, found, (node, inner))

    def replace(self, m: Match, new: Builder) -> Replacement:
        value: ir.Value = m.x
        if m.dropped:
            return squeezed(new, value, m.dropped)
        return unsqueezed(new, value, m.added) if m.added else value

    examples = (
        Example(
            "there and back",
            """(float[N,M] x) => (float[N,M] y) <int64[2] a = {1,3}>
            { u = Unsqueeze(x, a) v = Squeeze(u, a) y = Relu(v) }""",
            "y = Relu(x)",
        ),
        Example(
            "back and there",
            """(float[N,1,M] x) => (float[N,1,M] y)
            { u = Squeeze<axes=[1]>(x) v = Unsqueeze<axes=[-2]>(u) y = Relu(v) }""",
            "y = Relu(x)",
            opset=11,
        ),
        Example(
            "two in a row",
            """(float[N,M] x) => (float[1,N,1,M] y) <int64[1] a = {1}, int64[1] b = {0}>
            { u = Unsqueeze(x, a) y = Unsqueeze(u, b) }""",
            "y = Unsqueeze(x, #)",
        ),
        Example(
            "partly undone",
            """(float[N,M] x) => (float[N,M,1] y) <int64[2] a = {0,3}, int64[1] b = {0}>
            { u = Unsqueeze(x, a) y = Squeeze(u, b) }""",
            "y = Unsqueeze(x, #)",
        ),
    )


def _apply(op: str, axes: tuple[int, ...], entries: list[int | None] | list[int]) -> list[int | None]:
    """What is left of the axes of the first tensor; None for an axis of size one that came in between."""
    if op == "Squeeze":
        return [e for i, e in enumerate(entries) if i not in axes]
    kept = iter(entries)
    return [None if i in axes else next(kept) for i in range(len(entries) + len(axes))]
