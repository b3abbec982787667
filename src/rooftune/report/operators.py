"""The operators of a record, measured (from a profile) or predicted (from the analysis), in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rooftune.report.ledger import Segment, segments
from rooftune.report.reading import amount, duration, number, percent, positive, ratio, rows, section, words
from rooftune.report.table import Cell, Column, Table, figure, label

__all__ = ["Operator", "measured", "operator_table", "predicted", "same_run"]


@dataclass(frozen=True)
class Operator:
    """One operator or fused group. Counts and times are as recorded: numbers, expressions, or None."""

    name: str
    op: str
    seconds: object
    share: float | None
    roof_seconds: object
    share_of_roof: object
    macs: object
    flops: object
    bytes: object
    intensity: object
    rate: float | None
    level: str
    bound: str
    cause: str
    utilisation: object
    parts: tuple[Segment, ...]
    is_measured: bool


def measured(profile: object) -> list[Operator]:
    """The operators a profile timed, the slowest first."""
    found = rows(section(profile).get("operators"))
    total = positive(section(profile).get("model_seconds")) or _sum(found, "seconds")
    return _slowest_first([_operator(row, "seconds", total) for row in found])


def predicted(record: Mapping[str, Any]) -> list[Operator]:
    """The fused groups of the analysis with their predicted times, the slowest first."""
    analysis = section(record, "analysis")
    found = rows(analysis.get("groups")) or rows(analysis.get("nodes"))
    total = positive(section(analysis, "totals").get("predicted_seconds")) or _sum(found, "predicted_seconds")
    return _slowest_first([_operator(row, "predicted_seconds", total) for row in found])


def same_run(before: object, after: object) -> bool:
    """True where the second profile is the first one: nothing was gained, so there is one run to show."""
    return not section(before) or not section(after) or before == after


def _sum(found: list[Mapping[str, Any]], key: str) -> float | None:
    return sum(positive(row.get(key)) or 0.0 for row in found) or None


def _slowest_first(operators: list[Operator]) -> list[Operator]:
    return sorted(operators, key=lambda operator: -(number(operator.seconds) or 0.0))


def _operator(row: Mapping[str, Any], time_key: str, total: float | None) -> Operator:
    seconds = number(row.get(time_key))
    share = number(row.get("share"))
    if share is None and seconds is not None and total:
        share = seconds / total
    roof_seconds = number(row.get("roof_seconds"))
    share_of_roof = number(row.get("share_of_roof"))
    if share_of_roof is None and seconds and roof_seconds is not None:
        share_of_roof = roof_seconds / seconds
    parts = segments(row.get("ledger"))
    moved = row.get("bytes")
    return Operator(
        name=words(row.get("name")),
        op=words(row.get("op") or row.get("type")),
        seconds=row.get(time_key),
        share=share,
        roof_seconds=row.get("roof_seconds"),
        share_of_roof=share_of_roof,
        macs=row.get("macs"),
        flops=row.get("flops"),
        bytes=section(moved).get("fused") if isinstance(moved, Mapping) else moved,
        intensity=row.get("intensity"),
        rate=_rate(row, seconds),
        level=words(row.get("level")),
        bound=words(row.get("bound")),
        cause=words(row.get("cause")) or _main_cause(parts),
        utilisation=row.get("utilisation"),
        parts=parts,
        is_measured=time_key == "seconds",
    )


def _rate(row: Mapping[str, Any], seconds: float | None) -> float | None:
    recorded = number(row.get("flops_per_second"))
    if recorded is not None:
        return recorded
    flops = number(row.get("flops"))
    return flops / seconds if flops is not None and seconds else None


def _main_cause(parts: tuple[Segment, ...]) -> str:
    gaps = [segment for segment in parts if segment.cause.key != "roof" and segment.share > 0]
    return max(gaps, key=lambda segment: segment.share).cause.title if gaps else ""


_HINTS = {
    "lower": "nothing on this machine can be faster: the larger of FLOPs over the peak and bytes over the bandwidth",
    "share_of_roof": "lower bound over time: 100 % stands on the roof",
    "intensity": "FLOPs per byte the kernel moves: inputs, weights and outputs",
    "rate": "FLOPs over time",
    "cause": "the largest part of the time above the lower bound",
}


def operator_table(operators: list[Operator], identifier: str, caption: str) -> Table:
    """One row per operator, the slowest first."""
    timed = any(operator.is_measured for operator in operators)
    columns = (
        Column("operator", "Operator"),
        Column("op", "Type", priority=2),
        Column("seconds", "Measured" if timed else "Predicted", True),
        Column("share", "Share", True, "of the model's time", 2),
        Column("lower", "Lower bound", True, _HINTS["lower"]),
        Column("share_of_roof", "Of roof", True, _HINTS["share_of_roof"]),
        Column("cause", "Cause of the gap", False, _HINTS["cause"], 2),
        Column("bound", "Bound", False, "what the lower bound consists of", 2),
        Column("intensity", "FLOP/B", True, _HINTS["intensity"], 3),
        Column("rate", "Attained" if timed else "At that time", True, _HINTS["rate"], 3),
        Column("flops", "FLOPs", True, "1 multiply-accumulate = 2 FLOPs", 3),
        Column("bytes", "Bytes", True, "moved from and to memory", 3),
    )
    largest = max((operator.share or 0.0 for operator in operators), default=0.0)
    table = Table(
        identifier,
        caption,
        columns,
        tuple(_row(operator, largest) for operator in operators),
        filters=("op", "bound"),
        searchable=True,
    )
    return table.without_empty_columns()


def _row(operator: Operator, largest: float) -> tuple[Cell, ...]:
    bound = f"{operator.bound} · {operator.level}" if operator.bound == "memory" and operator.level else operator.bound
    cause = label(operator.cause)
    return (
        label(operator.name or "(unnamed)", limit=56),
        label(operator.op),
        figure(operator.seconds, duration),
        figure(
            operator.share,
            percent,
            share=operator.share / largest if operator.share is not None and largest > 0 else None,
        ),
        figure(operator.roof_seconds, duration),
        figure(operator.share_of_roof, percent),
        Cell(cause.text, cause.sort, cause.title, segments=operator.parts),
        label(bound),
        figure(operator.intensity, ratio),
        figure(operator.rate, partial(amount, unit="FLOP/s")),
        figure(operator.flops),
        figure(operator.bytes, partial(amount, unit="B")),
    )
