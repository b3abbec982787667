"""What was done to a model and what was refused, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rooftune.verdicts import Exactness

__all__ = ["Applied", "Journal", "Refused", "RuleCount"]


@dataclass(frozen=True)
class Applied:
    """One application of a rule.

    node     the node whose outputs were replaced
    removed  names of the nodes that went, `added` of those that came; `before` and `after` show them as text
    The deltas are after - before of these nodes on their own (negative is better); None where they are not known.
    What is computed from constants alone costs nothing, before and after: engines do it when they load the model.
    """

    rule: str
    node: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    flops_delta: float | None = None
    bytes_delta: float | None = None
    seconds_delta: float | None = None


@dataclass(frozen=True)
class Refused:
    """A place where the structure of a rule was found and the rule was not applied."""

    rule: str
    node: str
    reason: str


@dataclass(frozen=True)
class RuleCount:
    """All applications of one rule."""

    rule: str
    exactness: str
    count: int
    nodes: tuple[str, ...]
    nodes_delta: int
    flops_delta: float | None
    bytes_delta: float | None
    seconds_delta: float | None


@dataclass
class Journal:
    """The applications in order, and the refusals that still stood at the end."""

    applied: list[Applied] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def by_rule(self, exactness: dict[str, Exactness]) -> list[RuleCount]:
        """Applications added up per rule, in the order of first use."""
        found: dict[str, list[Applied]] = {}
        for entry in self.applied:
            found.setdefault(entry.rule, []).append(entry)
        return [
            RuleCount(
                rule=rule,
                exactness=exactness[rule].value if rule in exactness else "",
                count=len(entries),
                nodes=tuple(e.node for e in entries),
                nodes_delta=sum(len(e.added) - len(e.removed) for e in entries),
                flops_delta=_sum(e.flops_delta for e in entries),
                bytes_delta=_sum(e.bytes_delta for e in entries),
                seconds_delta=_sum(e.seconds_delta for e in entries),
            )
            for rule, entries in found.items()
        ]


def _sum(parts: Iterable[float | None]) -> float | None:
    known = [p for p in parts if p is not None]
    return sum(known) if known else None
