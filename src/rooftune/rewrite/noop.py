"""Nodes that give their first input back unchanged: the frame of the rules that take them out."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import onnx_ir as ir

from rooftune.graph.small_values import SmallValues
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

__all__ = ["NoOp", "sizes_known"]


class NoOp(Rule):
    """A rule for nodes of the operators `ops` that do nothing where `idle` says so."""

    ops: ClassVar[tuple[str, ...]]
    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset(("", op) for op in self.ops)

    def find(self, node: ir.Node) -> Match | Refusal | None:
        if not node.inputs or node.inputs[0] is None:
            return None
        used = [v for v in node.outputs if v.uses() or v.is_graph_output()]
        if not used or any(v is not node.outputs[0] for v in used) or not self.idle(node):
            return None
        return Match(node, {"x": node.inputs[0]}, (node,))

    @abstractmethod
    def idle(self, node: ir.Node) -> bool:
        """True where the first output is the first input for certain."""

    def replace(self, m: Match, new: Builder) -> Replacement:
        value: ir.Value = m.x
        return [value, *[None] * (len(m.root.outputs) - 1)]


def sizes_known(node: ir.Node) -> bool:
    """True where the inputs that steer the output's shape are known before the run, at least as expressions.

    Else the output's shape is what the file says, which is no proof.
    """
    values = SmallValues()
    return all(v is None or values.of(v) is not None for v in node.inputs[1:])
