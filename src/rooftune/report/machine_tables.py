"""The tables about where a run took place: the machine's ceilings, the environment, the versions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rooftune.report.reading import (
    ABSENT,
    amount,
    byte_size,
    operations_unit,
    percent,
    positive,
    rows,
    section,
    whole,
    words,
)
from rooftune.report.table import Cell, Column, Table, figure, label

__all__ = ["environment_table", "level_table", "peak_table"]

Record = Mapping[str, Any]


def standing_text(standing: object) -> str:
    """`measured, 2026-11-20: host probe`: how a number is known."""
    if not isinstance(standing, Mapping):
        return words(standing)
    head = ", ".join(filter(None, (words(standing.get("kind")), words(standing.get("date")))))
    tail = "; ".join(filter(None, (words(standing.get("source")), words(standing.get("note")))))
    return ": ".join(filter(None, (head, tail)))


def peak_table(record: Record) -> Table:
    """Highest arithmetic rate of the machine per number format and thread count."""
    columns = (
        Column("format", "Format"),
        Column("threads", "Threads", True),
        Column("peak", "Peak", True),
        Column("theoretical", "Theoretical", True, "clock × lanes × units × 2", 2),
        Column("share", "Of theoretical", True, "", 2),
        Column("engine", "Engine", priority=3),
        Column("instruction", "Instruction", priority=3),
        Column("variation", "Variation", True, "coefficient of variation of the probe's repeats", 3),
        Column("standing", "Standing", False, "how the number is known", 2),
    )
    made = []
    for row in rows(section(record, "machine").get("peaks")):
        unit = operations_unit(words(row.get("format")))
        peak, theory = positive(row.get("flops_per_second")), positive(row.get("theoretical_flops_per_second"))
        made.append(
            (
                label(row.get("format")),
                figure(row.get("threads"), whole),
                figure(peak, partial(amount, unit=unit)),
                figure(theory, partial(amount, unit=unit)),
                figure(peak / theory if peak and theory else None, percent),
                label(row.get("engine")),
                label(row.get("instruction")),
                figure(row.get("variation"), percent),
                label(standing_text(row.get("standing")), limit=200),
            )
        )
    return Table("peaks", "Arithmetic ceilings", columns, tuple(made)).without_empty_columns()


def _shared(value: object) -> str:
    if not isinstance(value, bool):
        return ""
    return "by all cores" if value else "per core"


def level_table(record: Record) -> Table:
    """Bandwidth of every memory level of the machine, by access pattern and thread count."""
    columns = (
        Column("level", "Level"),
        Column("size", "Size", True, "per core where it is not shared"),
        Column("shared", "Shared", priority=3),
        Column("pattern", "Pattern"),
        Column("threads", "Threads", True),
        Column("bandwidth", "Bandwidth", True),
        Column("stores", "Stores", priority=3),
        Column("standing", "Standing", False, "how the number is known", 2),
    )
    made = tuple(
        _bandwidth(level, band)
        for level in rows(section(record, "machine").get("levels"))
        for band in rows(level.get("bandwidths")) or [{}]
    )
    return Table("levels", "Memory ceilings", columns, made).without_empty_columns()


def _bandwidth(level: Record, band: Record) -> tuple[Cell, ...]:
    return (
        label(level.get("name")),
        figure(level.get("size_bytes"), byte_size),
        label(_shared(level.get("shared"))),
        label(band.get("pattern")),
        figure(band.get("threads"), whole),
        figure(band.get("bytes_per_second"), partial(amount, unit="B/s")),
        label(band.get("stores")),
        label(standing_text(band.get("standing")), limit=200),
    )


def environment_table(record: Record) -> Table:
    """Model, machine, settings and versions: what is needed to redo the run."""
    model, machine = section(record, "model"), section(record, "machine")
    environment, settings = section(record, "environment"), section(record, "settings")
    pairs: list[tuple[str, str]] = [
        ("Command", _command(record.get("command"))),
        ("Rooftune", words(record.get("rooftune"))),
        ("Model file", words(model.get("path"))),
        ("Size on disk", amount(model.get("bytes_on_disk"), "B")),
        ("Nodes", whole(model.get("nodes"))),
        ("Opset", words(model.get("opset"))),
        ("Producer", words(model.get("producer"))),
        ("Inputs", _tensors(model.get("inputs"))),
        ("Outputs", _tensors(model.get("outputs"))),
        ("Machine", words(machine.get("name"))),
        ("Microarchitecture", words(machine.get("microarchitecture"))),
        ("Clock", amount(machine.get("clock_hz"), "Hz")),
        ("Instruction sets", words(machine.get("isa"))),
        ("Probed", words(machine.get("date"))),
        ("Processor", words(environment.get("cpu"))),
        ("Platform", words(environment.get("platform"))),
        ("Python", words(environment.get("python"))),
        ("Affinity", words(environment.get("affinity"))),
        ("CPU quota", words(environment.get("quota"))),
        ("Load average", words(environment.get("load_average"))),
    ]
    pairs += [(words(key).replace("_", " ").capitalize(), words(value)) for key, value in settings.items()]
    pairs += [(words(key), words(value)) for key, value in section(environment, "versions").items()]
    columns = (Column("what", "What"), Column("value", "Value"))
    made = tuple((Cell(what), label(value, limit=600)) for what, value in pairs if value not in {"", ABSENT})
    return Table("environment", "Environment and versions", columns, made)


def _tensors(tensors: object) -> str:
    return "; ".join(
        f"{words(t.get('name'))} {words(t.get('dtype'))}[{words(t.get('shape'))}]".strip() for t in rows(tensors)
    )


def _command(command: object) -> str:
    return " ".join(map(words, command)) if isinstance(command, list | tuple) else words(command)
