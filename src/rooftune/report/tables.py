"""The tables about a run: steps, candidates, refusals, conventions, totals, checks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rooftune.report.reading import (
    ABSENT,
    amount,
    duration,
    factor,
    number,
    percent,
    positive,
    ratio,
    rows,
    section,
    small,
    whole,
    words,
)
from rooftune.report.table import Cell, Column, Table, figure, flag, label

__all__ = [
    "candidate_table",
    "convention_table",
    "counterfactual_table",
    "output_table",
    "refused_table",
    "step_table",
    "total_table",
    "unknown_table",
]

Record = Mapping[str, Any]


def step_table(record: Record) -> Table:
    """What was done to the model, the prediction beside the outcome."""
    columns = (
        Column("name", "Step"),
        Column("kind", "Kind", priority=2),
        Column("predicted", "Predicted gain", True),
        Column("measured", "Measured gain", True),
        Column("kept", "Kept"),
        Column("reason", "Reason", priority=2),
    )
    made = tuple(
        (
            label(step.get("name")),
            label(step.get("kind")),
            figure(step.get("predicted_gain"), factor),
            figure(step.get("measured_gain"), factor),
            flag(step.get("kept"), "kept", "dropped"),
            label(step.get("reason"), limit=400),
        )
        for step in rows(record.get("steps"))
    )
    return Table("steps", "Steps with predicted and measured gain", columns, made).without_empty_columns()


_STATUS_TONES = {"measured": "good", "failed": "bad", "refused": "muted", "dropped": "muted"}


def candidate_table(record: Record) -> Table:
    """Every way of running the model that was tried, the fastest first."""
    columns = (
        Column("name", "Candidate"),
        Column("seconds", "Time", True, "median of the runs"),
        Column("interval", "Interval", True, "of the median", 3),
        Column("items", "Items/s", True, priority=3),
        Column("verified", "Verified", False, "against the reference"),
        Column("status", "Status"),
        Column("reason", "Why", priority=2),
        Column("backend", "Backend", priority=4),
        Column("settings", "Settings", priority=4),
        Column("threads", "Threads", True, priority=3),
        Column("runs", "Runs", True, priority=3),
        Column("load", "Loading", True, "time to load and compile the model", 3),
    )
    found = sorted(
        rows(record.get("candidates")),
        key=lambda row: (number(row.get("seconds")) is None, number(row.get("seconds")) or 0.0),
    )
    slowest = max((positive(row.get("seconds")) or 0.0 for row in found), default=0.0)
    made = tuple(_candidate(row, slowest, record) for row in found)
    table = Table("candidates", "Candidates, the fastest first", columns, made, filters=("backend", "status"))
    return table.without_empty_columns()


def _candidate(row: Record, slowest: float, record: Record) -> tuple[Cell, ...]:
    status = words(row.get("status"))
    seconds = positive(row.get("seconds"))
    reason = words(row.get("error")) or words(row.get("reason"))
    roles = [role for role in ("best", "baseline") if _is_role(section(record, role), row)]
    return (
        label(row.get("name") or row.get("backend"), under=", ".join(roles)),
        figure(row.get("seconds"), duration, share=seconds / slowest if seconds and slowest else None),
        figure_pair(row.get("low"), row.get("high")),
        figure(row.get("items_per_second")),
        flag(row.get("verified"), "yes", "no"),
        label(status, tone=_STATUS_TONES.get(status, "")),
        label(reason, limit=400),
        label(row.get("backend")),
        label(row.get("settings"), limit=160),
        figure(row.get("threads"), whole),
        figure(row.get("runs"), whole),
        figure(row.get("load_seconds"), duration),
    )


def _is_role(role: Record, row: Record) -> bool:
    keys = [key for key in ("name", "backend", "settings", "threads") if role.get(key) is not None]
    return bool(keys) and all(role[key] == row.get(key) for key in keys)


def figure_pair(low: object, high: object) -> Cell:
    """An interval of times; sorts by its lower end."""
    if number(low) is None or number(high) is None:
        return Cell(ABSENT)
    first, last = duration(low), duration(high)
    if first.rpartition(" ")[2] == last.rpartition(" ")[2]:
        first = first.rpartition(" ")[0]
    return Cell(f"{first} – {last}", sort=number(low))


def refused_table(record: Record) -> Table:
    """What was not done, each with its reason."""
    columns = (Column("what", "Refused"), Column("reason", "Why"))
    made = tuple(
        (label(row.get("what"), limit=160), label(row.get("reason"), limit=400))
        for row in rows(record.get("refused"))
        if "rule" not in row  # the printed JSON of `rooftune rewrite` has its rules' refusals here
    )
    return Table("refused", "What was refused, and why", columns, made)


def unknown_table(record: Record) -> Table:
    """The nodes whose cost nobody can state."""
    columns = (Column("node", "Node"), Column("op", "Type"), Column("reason", "Why it is unknown"))
    made = tuple(
        (label(row.get("node"), limit=64), label(row.get("op")), label(row.get("reason"), limit=400))
        for row in rows(section(record, "analysis").get("unknown"))
    )
    return Table("unknown", "Operators of unknown cost", columns, made, filters=("op",), searchable=len(made) > 20)


def convention_table(record: Record) -> Table:
    """The same model counted in other ways."""
    columns = (
        Column("name", "Convention"),
        Column("operations", "Counted operations", True),
        Column("bytes", "Bytes", True),
        Column("intensity", "Intensity (per byte)", True),
        Column("explanation", "How it counts", priority=2),
    )
    made = tuple(
        (
            label(row.get("name")),
            figure(row.get("macs_or_flops")),
            figure(row.get("bytes"), partial(amount, unit="B")),
            figure(row.get("intensity"), ratio),
            label(row.get("explanation"), limit=600),
        )
        for row in rows(section(record, "analysis").get("conventions"))
    )
    return Table("conventions", "Counting conventions", columns, made).without_empty_columns()


def counterfactual_table(record: Record) -> Table:
    """Runs made to check a cause: the same work with one thing changed."""
    columns = (
        Column("name", "Changed"),
        Column("run", "Run", priority=3),
        Column("operator", "Operator", priority=2),
        Column("baseline", "As measured", True),
        Column("seconds", "Changed to", True),
        Column("conclusion", "What it shows", priority=1),
    )
    profiles = section(record, "profiles")
    single = profiles.get("before") == profiles.get("after")
    made = tuple(
        (
            label(row.get("name")),
            label("" if single else run),
            label(row.get("operator") or "whole model", limit=48),
            figure(row.get("baseline_seconds"), duration),
            figure(row.get("seconds"), duration),
            label(row.get("conclusion"), limit=400),
        )
        for run in (("after",) if single else ("before", "after"))
        for row in rows(section(profiles, run).get("counterfactuals"))
    )
    return Table("counterfactuals", "Causes checked by a run", columns, made).without_empty_columns()


def output_table(record: Record) -> Table:
    """Error of every output against the reference."""
    columns = (
        Column("name", "Output"),
        Column("error", "Max. relative error", True),
        Column("spread", "Spread", True, "of the reference's values: none proves nothing"),
    )
    made = tuple(
        (label(row.get("name")), figure(row.get("max_relative_error"), small), figure(row.get("spread"), small))
        for row in rows(section(record, "verification").get("outputs"))
    )
    return Table("outputs", "Verification by output", columns, made)


_TOTALS = (
    ("params", "Parameters", ""),
    ("learnable_params", "of which learnable", ""),
    ("macs", "MACs", ""),
    ("executed_macs", "of which executed (without padding)", ""),
    ("flops", "FLOPs", ""),
    ("weight_bytes", "Weights", "B"),
    ("footprint_bytes", "Footprint at the peak of a run", "B"),
)


def total_table(record: Record) -> Table:
    """What the model costs in all."""
    totals = section(record, "analysis", "totals")
    made = [(Cell(title), figure(totals.get(key), partial(amount, unit=unit))) for key, title, unit in _TOTALS]
    moved = section(totals, "bytes")
    made += [
        (Cell(f"Bytes, {view} view"), figure(moved.get(view), partial(amount, unit="B")))
        for view in ("textbook", "unfused", "fused", "ideal")
    ]
    made += [
        (Cell("Intensity (FLOP/B, fused view)"), figure(totals.get("intensity"))),
        (Cell("Bound"), label(totals.get("bound"))),
        (Cell("Lower bound of the run"), figure(totals.get("roof_seconds"), duration)),
        (Cell("Predicted time"), figure(totals.get("predicted_seconds"), duration)),
        (Cell("Coverage (share of nodes with known cost)"), figure(totals.get("coverage"), percent)),
        (Cell("Share of bytes at unknown nodes"), figure(totals.get("unknown_bytes_share"), percent)),
    ]
    columns = (Column("what", "Total"), Column("value", "Value"))
    return Table("totals", "Totals of the model", columns, tuple(row for row in made if row[1].text != ABSENT))
