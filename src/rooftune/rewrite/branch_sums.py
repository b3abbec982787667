"""Rules that find two branches of a sum which one convolution can compute, and put it in their place."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.branches import Branch, convolution, merge_branches, spatial_sizes
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, label_of
from rooftune.rewrite.rule import Replacement, Rule
from rooftune.rewrite.sums import SUMS, Operand, SumTree, rebuild_sum, sum_at
from rooftune.verdicts import Exactness, Refusal

__all__ = ["BranchRule", "ConvPairRule", "Pair", "write_convolution"]


@dataclass(frozen=True)
class Pair:
    """A Conv and another operand of the same sum as branches, and the convolution that computes both."""

    conv: ir.Node
    one: Branch
    other: Branch
    merged: Branch

    @property
    def grows(self) -> bool:
        """True where the one convolution multiplies more often than the two branches do."""
        return self.merged.products > self.one.products + self.other.products


class BranchRule(Rule):
    """A rule that adds an operand of a sum to a Conv in the same sum, in whatever order and nesting they are added."""

    pattern = ()
    exactness = Exactness.REASSOCIATES

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return SUMS

    @abstractmethod
    def path(self, value: ir.Value, x: ir.Value) -> tuple[ir.Node, ...] | None:
        """The nodes that make an operand of the rule's kind from x, last one first; None for other operands."""

    @abstractmethod
    def branch(self, path: tuple[ir.Node, ...], conv: Branch) -> Branch | Refusal | None:
        """Such nodes as a branch beside a convolution over the same input."""

    def wanted(self, pair: Pair) -> Refusal | bool:
        """Whether the rule merges this pair."""
        if not pair.grows:
            return True
        ratio = pair.merged.products / max(1, pair.one.products + pair.other.products)
        return Refusal(f"the merged kernel would multiply {ratio:.3g} times as often", label_of(pair.conv))

    def find(self, node: ir.Node) -> Match | Refusal | None:
        """The first pair that the rule wants, named `pair`; the places of its two operands are `conv` and `operand`."""
        tree = sum_at(node)
        if tree is None:
            return None
        refused: Refusal | None = None
        for conv, path, own, operand in self._candidates(tree):
            found = self._pair(conv, path)
            if isinstance(found, Pair):
                above = tree.nodes_above(own, operand)
                names = {"pair": found, "conv": own, "operand": operand, "above": above}
                return Match(node, names, (*above, conv, *path))
            refused = refused or found
        return refused

    def _candidates(self, tree: SumTree) -> Iterator[tuple[ir.Node, tuple[ir.Node, ...], Operand, Operand]]:
        """Every Conv of a sum with every other operand of the rule's kind over the same input."""
        near: dict[int, list[Operand]] = defaultdict(list)
        for operand in tree.operands:
            for value in _sources(operand.value):
                near[id(value)].append(operand)
        graph = tree.nodes[0].graph
        for own in tree.operands:
            conv = own.value.producer()
            if conv is None or (conv.domain, conv.op_type) != ("", "Conv") or conv.graph is not graph:
                continue
            x = conv.inputs[0]
            if x is None:
                continue
            for operand in near[id(x)]:
                path = None if operand.value is own.value else self.path(operand.value, x)
                if path is not None and all(n.graph is graph and n.domain == "" for n in path):
                    yield conv, path, own, operand

    def _pair(self, conv: ir.Node, path: tuple[ir.Node, ...]) -> Pair | Refusal | None:
        one = convolution(conv)
        if not isinstance(one, Branch):
            return one
        other = self.branch(path, one)
        if not isinstance(other, Branch):
            return other
        merged = merge_branches(one, other, spatial_sizes(conv.inputs[0], len(one.windows)))
        if merged is None:
            return None
        pair = Pair(conv, one, other, merged)
        answer = self.wanted(pair)
        if isinstance(answer, Refusal):
            return answer
        return pair if answer else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        conv = write_convolution(new, m.pair.merged, m.pair.conv, _bias(new, m.pair.merged, m.pair.conv))
        return rebuild_sum(new, m.above, {m.conv: conv, m.operand: None})


def _sources(value: ir.Value) -> Iterator[ir.Value]:
    """A value and what the two nodes before it read: where the input of a branch is found."""
    seen = {id(value)}
    edge = [value]
    yield value
    for _ in range(2):
        producers = [v.producer() for v in edge]
        edge = []
        for source in (v for p in producers if p is not None for v in p.inputs):
            if source is not None and id(source) not in seen:
                seen.add(id(source))
                edge.append(source)
                yield source


def write_convolution(new: Builder, branch: Branch, like: ir.Node, bias: ir.Value | None) -> ir.Value:
    """A Conv node for a branch over the input of another Conv, whose manner of writing attributes it keeps."""
    weight = new.derive(branch.kernel, *branch.sources, shape=branch.shape)
    windows = branch.windows
    settings: dict[str, tuple[Any, Any]] = {
        "dilations": ([w.step for w in windows], [1] * len(windows)),
        "group": (branch.group, 1),
        "kernel_shape": ([w.taps for w in windows], [w.taps for w in windows]),
        "pads": ([w.pads[side] for side in (0, 1) for w in windows], [0] * 2 * len(windows)),
        "strides": ([w.stride for w in windows], [1] * len(windows)),
    }
    written: dict[str, Any] = {
        name: value if value != default or name in like.attributes else None
        for name, (value, default) in settings.items()
    }
    return new.node("Conv", [like.inputs[0], weight, bias], like=like, auto_pad=None, **written)[0]


def _bias(new: Builder, branch: Branch, like: ir.Node) -> ir.Value | None:
    shift = branch.shift
    if not branch.biases:
        given = f"{like.inputs[1].name}_bias" if like.inputs[1] is not None else ""
        return None if shift is None else new.constant(shift, like=like.inputs[1], hint=given)
    if len(branch.biases) == 1 and shift is None:
        return branch.biases[0]
    first = 0.0 if shift is None else shift
    return new.derive(lambda *biases: sum(biases, start=np.asarray(first)), *branch.biases)


class ConvPairRule(BranchRule):
    """A rule that adds two Convs of the same sum."""

    def path(self, value: ir.Value, x: ir.Value) -> tuple[ir.Node, ...] | None:
        conv = value.producer()
        return (conv,) if conv is not None and conv.op_type == "Conv" and conv.inputs[0] is x else None

    def branch(self, path: tuple[ir.Node, ...], conv: Branch) -> Branch | Refusal | None:
        return convolution(path[0])
