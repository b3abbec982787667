"""Convolutions of the same input that are concatenated become one with more channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.branch_sums import write_convolution
from rooftune.rewrite.branches import Branch, convolution
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import Floats
from rooftune.verdicts import Exactness, Refusal


class MergeConcatenatedConvs(Rule):
    """Merge neighbouring convolutions of the same input in a Concat of channels into one with all their channels."""

    pattern = ()
    exactness = Exactness.REASSOCIATES
    must_pay = True

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Concat")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        """The first run of at least two inputs that one Conv can give: its place `start`, `convs` and `branches`."""
        refused: Refusal | None = None
        rank = rank_of(node.outputs[0])
        axis = attribute(node, "axis")
        if axis is None or (axis != 1 and (rank is None or axis != 1 - rank)):
            return None
        for start in range(len(node.inputs) - 1):
            first = _conv_behind(node, start)
            second = _conv_behind(node, start + 1)
            if first is None or second is None or first is second or second.inputs[0] is not first.inputs[0]:
                continue
            convs: list[ir.Node] = []
            branches: list[Branch] = []
            for place in range(start, len(node.inputs)):
                conv = _conv_behind(node, place)
                branch = None if conv is None or conv.inputs[0] is not first.inputs[0] else convolution(conv)
                if isinstance(branch, Refusal):
                    refused = refused or branch
                if conv is None or not isinstance(branch, Branch) or not _alike(branch, branches):
                    break
                convs.append(conv)
                branches.append(branch)
            if len(convs) > 1:
                return Match(node, {"start": start, "convs": convs, "branches": branches}, (node, *convs))
        return refused

    def replace(self, m: Match, new: Builder) -> Replacement:
        branches: list[Branch] = m.branches
        first = branches[0]
        channels = sum(b.channels for b in branches)
        wide = Branch(
            first.windows,
            1,
            channels,
            first.inner,
            tuple(s for b in branches for s in b.sources),
            lambda *weights: np.concatenate(weights),
            channels * math.prod(first.shape[1:]),
        )
        conv = write_convolution(new, wide, m.convs[0], _biases_in_a_row(new, branches, channels))
        inputs = list(m.root.inputs)
        inputs[m.start : m.start + len(branches)] = [conv]
        return conv if len(inputs) == 1 else new.node("Concat", inputs, like=m.root)[0]

    examples = (
        Example(
            "two",
            """(float[N,3,8,8] x) => (float[N,7,8,8] y) <float[4,3,3,3] w, float[3,3,3,3] v, float[3] b>
            { c = Conv<pads=[1,1,1,1]>(x, w) d = Conv<auto_pad="SAME_UPPER">(x, v, b) y = Concat<axis=1>(c, d) }""",
            "y = Conv<pads=[1,1,1,1]>(x, #, #)",
        ),
        Example(
            "among others",
            """(float[1,3,8] x) => (float[1,12,8] y) <float[4,3,1] w, float[2,3,1] v>
            { c = Conv(x, w) d = Conv(x, v) r = Relu(x) y = Concat<axis=-2>(r, c, d, x) }""",
            "r = Relu(x)\nv1 = Conv(x, #)\ny = Concat<axis=-2>(r, v1, x)",
        ),
        Example(
            "another reader",
            """(float[1,3,8] x) => (float[1,6,8] y, float[1,4,8] c) <float[4,3,1] w, float[2,3,1] v>
            { c = Conv(x, w) d = Conv(x, v) y = Concat<axis=1>(c, d) }""",
            refused="another reader",
        ),
    )


def _conv_behind(concat: ir.Node, place: int) -> ir.Node | None:
    value = concat.inputs[place]
    conv = None if value is None else value.producer()
    fits = conv is not None and (conv.domain, conv.op_type) == ("", "Conv") and conv.graph is concat.graph
    return conv if fits else None


def _alike(branch: Branch, others: Sequence[Branch]) -> bool:
    """True for dense convolutions that read the same elements."""
    return branch.group == 1 and all(branch.windows == o.windows for o in others)


def _biases_in_a_row(new: Builder, branches: Sequence[Branch], channels: int) -> ir.Value | None:
    known = [b.biases[0] for b in branches if b.biases]
    if not known:
        return None

    def in_a_row(*arrays: Floats) -> Floats:
        given = iter(arrays)
        return np.concatenate([next(given) if b.biases else np.zeros(b.channels) for b in branches])

    return new.derive(in_a_row, *known, shape=(channels,))
