"""Split and Concat that undo one another go."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import dims_of, producer_of
from rooftune.verdicts import Exactness, Refusal


class RemoveSplitConcatPair(Rule):
    """Remove a Concat of all parts of a Split in order, and a Split of a Concat at its seams."""

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Concat"), ("", "Split")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        return _joined(node) if node.op_type == "Concat" else _parted(node)

    def replace(self, m: Match, new: Builder) -> Replacement:
        values: list[ir.Value] = m.values
        return values

    examples = (
        Example(
            "parted and joined",
            """(float[2,6] x) => (float[2,6] y)
            { a, b = Split<axis=1, num_outputs=2>(x) c = Concat<axis=-1>(a, b) y = Relu(c) }""",
            "y = Relu(x)",
        ),
        Example(
            "joined and parted",
            """(float[2,3] a, float[2,4] b) => (float[2,3] y, float[2,4] z) <int64[2] s = {3,4}>
            { c = Concat<axis=1>(a, b) d, e = Split<axis=1>(c, s) y = Relu(d) z = Neg(e) }""",
            "y = Relu(a)\nz = Neg(b)",
        ),
        Example(
            "an older operator set",
            """(float[2,3] a, float[2,3] b) => (float[2,3] y)
            { c = Concat<axis=0>(a, b) d, e = Split(c) f = Concat<axis=0>(d, e)
              g, h = Split<split=[2,2]>(f) y = Sub(g, h) }""",
            "y = Sub(a, b)",
            opset=11,
        ),
    )


def _axis(node: ir.Node, default: int | None) -> int | None:
    rank, axis = rank_of(node.inputs[0]), attribute(node, "axis", default)
    return None if rank is None or axis is None else int(axis) % rank


def _joined(concat: ir.Node) -> Match | None:
    first = concat.inputs[0] if concat.inputs else None
    split = None if first is None else first.producer()
    if split is None or split.domain != "" or split.op_type != "Split" or split.inputs[0] is None:
        return None
    if len(concat.inputs) != len(split.outputs):
        return None
    if any(a is not b for a, b in zip(concat.inputs, split.outputs, strict=True)):
        return None
    if _axis(concat, None) is None or _axis(concat, None) != _axis(split, 0):
        return None
    return Match(concat, {"values": [split.inputs[0]]}, (concat, split))


def _parted(split: ir.Node) -> Match | None:
    concat = producer_of(split.inputs[0], "Concat")
    axis = _axis(split, 0)
    if concat is None or axis is None or _axis(concat, None) != axis or len(concat.inputs) != len(split.outputs):
        return None
    for joined, part in zip(concat.inputs, split.outputs, strict=True):
        before, after = dims_of(joined), dims_of(part)
        if before is None or after is None or not isinstance(before[axis], int) or before[axis] != after[axis]:
            return None
    if len(set(map(id, concat.inputs))) != len(concat.inputs) and any(v.is_graph_output() for v in split.outputs):
        return None  # one value cannot have two outputs' names
    return Match(split, {"values": list(concat.inputs)}, (split, concat))
