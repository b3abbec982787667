"""A rule: a pattern, when it may not be applied, what takes its place, and examples that are tests and docs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, find_match
from rooftune.rewrite.pattern import Operation, parse_pattern
from rooftune.verdicts import Exactness, Refusal

__all__ = ["Example", "Replacement", "Rule"]

Replacement = ir.Value | Sequence[ir.Value | None] | Refusal
"""What takes the place of the root's outputs, one value each (None for one nobody reads); or a late refusal."""


@dataclass(frozen=True)
class Example:
    """A small graph before and after a rule, in ONNX's text format; or one that the rule refuses.

    before   `(float[2,3] x) => (float[2,3] y) <float[3] c> { t = Mul(x, c) y = Relu(t) }`; the values between < >
             are weights, filled with random numbers unless they are given: `float[1] c = {2.0}`
    after    the nodes that must remain, one a line; `#` stands for any constant, `v1, v2 ...` for new values
    refused  a part of the reason, for a graph the rule leaves as it is; `after` is empty then
    """

    name: str
    before: str
    after: str = ""
    refused: str = ""
    opset: int = 20


class Rule(ABC):
    """A rewrite that keeps what the model computes.

    The docstring's first line says what it does. `pattern` is one pattern or several (see `pattern.py`). `must_pay`
    marks rules that can make a model slower: they are applied only where the predicted time falls. `since` is the
    oldest version of the default operator set the rule may write.
    """

    pattern: ClassVar[str | tuple[str, ...]]
    exactness: ClassVar[Exactness]
    must_pay: ClassVar[bool] = False
    since: ClassVar[int] = 0
    examples: ClassVar[tuple[Example, ...]]

    @property
    def name(self) -> str:
        """The rule's name everywhere: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def title(self) -> str:
        return (type(self).__doc__ or "").strip().splitlines()[0]

    @property
    def patterns(self) -> tuple[Operation, ...]:
        texts = (self.pattern,) if isinstance(self.pattern, str) else self.pattern
        return tuple(parse_pattern(text) for text in texts)

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        """Domain and operator of every node at which the rule may speak."""
        return frozenset(op for pattern in self.patterns for op in pattern.ops)

    def find(self, node: ir.Node) -> Match | Refusal | None:
        """The rule's pattern at a node; rules that no pattern can describe have a search of their own."""
        refused: Refusal | None = None
        for pattern in self.patterns:
            found = find_match(pattern, node)
            if isinstance(found, Match):
                return found
            refused = refused or found
        return refused

    def guard(self, m: Match) -> Refusal | None:
        """Why the rule may not be applied here; None where it may."""
        return None

    @abstractmethod
    def replace(self, m: Match, new: Builder) -> Replacement:
        """What takes the place of the root's outputs."""
