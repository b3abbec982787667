"""What a rewriting did: tables of the rules applied and refused, and the changes one by one for the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rooftune.report.graph_picture import Picture, draw
from rooftune.report.node_line import read_line
from rooftune.report.reading import ABSENT, amount, duration, number, rows, section, shortened, whole, words
from rooftune.report.table import Cell, Column, Table, label

__all__ = ["Change", "RuleChanges", "applied_table", "changes_by_rule", "notes", "refusal_table"]

OPEN, FOLDED = 3, 27
"""Changes of one rule that the page shows at once, and further ones that it folds away. The record keeps them all."""

_MOST_LINES, _LONGEST_LINE = 24, 400

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One application of a rule: the nodes before and after as text and, where they can be drawn, as pictures."""

    node: str
    full: str
    figures: str
    lines: tuple[tuple[str, str], ...]  # "-" or "+", and the node
    left_out: int
    before: Picture | None
    after: Picture | None

    @property
    def no_node_left(self) -> bool:
        """True where nodes went and none came: a constant or a value that was there already stands in for them."""
        return bool(self.lines) and all(sign == "-" for sign, _ in self.lines)


@dataclass(frozen=True)
class RuleChanges:
    """The changes of one rule: some to look at, some folded, and how many are in the record only."""

    rule: str
    count: int
    shown: tuple[Change, ...]
    folded: tuple[Change, ...]
    left_out: int


def applied_table(record: Record) -> Table:
    """The rules that were applied, with what their changes saved."""
    own = "of the changed nodes on their own"
    columns = (
        Column("rule", "Rule"),
        Column("count", "Times", True),
        Column("nodes", "Nodes", True, "nodes added less nodes removed"),
        Column("flops", "FLOPs", True, own, 2),
        Column("bytes", "Unfused bytes", True, f"{own}, every tensor through memory", 2),
        Column("seconds", "Predicted time", True, own),
        Column("exactness", "Exactness", priority=3),
    )
    made = tuple(
        (
            label(row.get("rule")),
            _figure(row.get("count"), whole),
            _difference(row.get("nodes_delta"), whole),
            _difference(row.get("flops_delta"), amount),
            _difference(row.get("bytes_delta"), lambda value: amount(value, "B")),
            _difference(row.get("seconds_delta"), duration, toned=True),
            label(row.get("exactness")),
        )
        for row in rows(section(record, "rewrite").get("applied"))
    )
    return Table("applied", "Rules applied, in the order of their first use", columns, made).without_empty_columns()


def refusal_table(record: Record) -> Table:
    """Where a rule found its structure and did not change it; reasons that differ in names and numbers are one row."""
    columns = (
        Column("rule", "Rule"),
        Column("count", "Times", True),
        Column("reason", "Why not"),
        Column("node", "First at", priority=2),
    )
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in rows(section(record, "rewrite").get("refused")):
        key = (words(row.get("rule")), _kind_of_reason(words(row.get("reason")), words(row.get("node"))))
        groups.setdefault(key, []).append(row)
    made = []
    for (rule, _), found in groups.items():
        cells = (
            label(rule),
            _figure(len(found), whole),
            label(found[0].get("reason"), limit=300),
            label(found[0].get("node"), limit=40),
        )
        made.append(cells)
    note = "Refusals that differ in names and numbers only are counted together; the reason shown is the first one's."
    alike = len(made) < sum(map(len, groups.values()))
    return Table(
        "rules-refused",
        "Rules refused, and why",
        columns,
        tuple(made),
        filters=("rule",),
        searchable=len(made) > 20,
        note=note if alike else "",
    ).without_empty_columns()


def _kind_of_reason(reason: str, node: str) -> str:
    """The reason without what differs from node to node: names and numbers."""
    text = re.sub(rf"(?<![\w/.]){re.escape(node)}(?![\w/.])", "…", reason) if node else reason
    text = re.sub(r" ?\([^()]*\)", "", text)
    return re.sub(r"\S*\w[/_.:]\w\S*|\S*\d\S*", "…", text)


def notes(record: Record) -> list[str]:
    """Sentences on the rewriting as a whole."""
    found = section(record, "rewrite").get("notes")
    return [text for item in (found if isinstance(found, list | tuple) else ()) if (text := words(item))]


def changes_by_rule(record: Record) -> list[RuleChanges]:
    """The changes in the order of the rules' first use, the first of every rule ready to be shown."""
    groups: dict[str, list[Record]] = {}
    for row in rows(section(record, "rewrite").get("changes")):
        groups.setdefault(words(row.get("rule")), []).append(row)
    return [
        RuleChanges(
            rule=shortened(rule, 80) or "(unnamed)",
            count=len(found),
            shown=tuple(_change(row) for row in found[:OPEN]),
            folded=tuple(_change(row) for row in found[OPEN : OPEN + FOLDED]),
            left_out=max(0, len(found) - OPEN - FOLDED),
        )
        for rule, found in groups.items()
    ]


def _change(row: Record) -> Change:
    before, after = _lines(row.get("before")), _lines(row.get("after"))
    signed = [("-", line) for line in before[:_MOST_LINES]] + [("+", line) for line in after[:_MOST_LINES]]
    name = words(row.get("node"))
    figures = [
        text
        for key, form in (("flops_delta", _flops), ("bytes_delta", _bytes), ("seconds_delta", duration))
        if (number(row.get(key)) or 0) != 0 and (text := _signed(row.get(key), form))
    ]
    return Change(
        node=shortened(name, 88) or "(unnamed)",
        full=name[:2000],
        figures=" · ".join(figures),
        lines=tuple((sign, shortened(words(line), _LONGEST_LINE)) for sign, line in signed),
        left_out=len(before) + len(after) - len(signed),
        before=_picture(before),
        after=_picture(after),
    )


def _lines(value: object) -> list[str]:
    return [line for line in value if isinstance(line, str)] if isinstance(value, list | tuple) else []


def _picture(lines: list[str]) -> Picture | None:
    read = [read_line(line) for line in lines]
    nodes = [node for node in read if node is not None]
    return draw(nodes) if len(nodes) == len(lines) else None


def _flops(value: object) -> str:
    return amount(value, "FLOP")


def _bytes(value: object) -> str:
    return amount(value, "B")


def _figure(value: object, form: Callable[[object], str]) -> Cell:
    return Cell(form(value), sort=number(value))


def _difference(value: object, form: Callable[[object], str], *, toned: bool = False) -> Cell:
    """A number with its sign; less is better."""
    found = number(value)
    tone = "" if not toned or not found else "good" if found < 0 else "bad"
    return Cell(_signed(value, form) or ABSENT, sort=found, tone=tone)


def _signed(value: object, form: Callable[[object], str]) -> str:
    found = number(value)
    if found is None:
        return ""
    return form(found) if found == 0 else f"{'−' if found < 0 else '+'}{form(abs(found))}"
