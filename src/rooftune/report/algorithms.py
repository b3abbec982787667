"""Why an operator is computed in the way it is: what was chosen, and what it was weighed against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rooftune.report.reading import duration, number, percent, rows, section, words
from rooftune.report.table import Cell, Column, Table, figure, label

__all__ = ["algorithm_table"]


def algorithm_table(record: Mapping[str, Any]) -> Table:
    """Operators of the best run whose algorithm was chosen, with the others' times, the slowest operator first."""
    profiles = section(record, "profiles")
    profile = section(profiles, "after") or section(profiles, "before")
    # what only packs or clears for an operator has its nodes too, and no roof
    operators = [row for row in rows(profile.get("operators")) if number(row.get("share_of_roof")) is not None]
    gaps = {_key(row): row for row in operators}
    found = [row for row in rows(profile.get("kernels")) if section(row, "algorithm")]
    found.sort(key=lambda row: -(number(row.get("seconds")) or 0.0))
    columns = (
        Column("operator", "Operator"),
        Column("algorithm", "Algorithm"),
        Column("seconds", "In the model", True, "measured while the whole model runs"),
        Column("roof", "Of its roof", True, "lower bound of this algorithm over its time", 2),
        Column("arithmetic", "Arithmetic", True, "operations over those of the formula as it is written", 2),
        Column("alone", "Alone", True, "by itself, with weights no cache holds: measured when it was chosen", 2),
        Column("others", "Weighed against", False, "the other ways of computing it and their times by themselves"),
    )
    made = tuple(_row(row, gaps.get(_key(row), {})) for row in found)
    return Table("algorithms", "Why this algorithm", columns, made, filters=("algorithm",)).without_empty_columns()


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    nodes = row.get("nodes")
    return tuple(words(n) for n in nodes) if isinstance(nodes, list | tuple) else ()


def _row(kernel: Mapping[str, Any], gap: Mapping[str, Any]) -> tuple[Cell, ...]:
    algorithm = section(kernel, "algorithm")
    name = words(algorithm.get("name"))
    compared = rows(algorithm.get("compared"))
    mine = next((c for c in compared if words(c.get("name")) == name), {})
    others = [c for c in compared if c is not mine]
    return (
        label(words(gap.get("name")) or ", ".join(_key(kernel)), limit=48),
        label(name),
        figure(kernel.get("seconds"), duration),
        figure(gap.get("share_of_roof"), percent),
        figure(algorithm.get("arithmetic"), percent),
        figure(mine.get("seconds") if mine.get("measured") is True else None, duration),
        label(" · ".join(_said(c) for c in others), limit=160),
    )


def _said(other: Mapping[str, Any]) -> str:
    time = duration(other.get("seconds"))
    return f"{words(other.get('name'))} {time if other.get('measured') is True else f'about {time}'}"
