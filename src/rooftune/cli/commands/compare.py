"""`rooftune compare A B ...`: models on machines, or two measured runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rooftune.cli.app import app
from rooftune.cli.options import BackendGroups, Batch, Json, NumberFormat, Shapes, Threads, read_shapes
from rooftune.cli.screen import Screen, ScreenProgress, print_json
from rooftune.errors import InputError
from rooftune.quantities import Unknown, count_text, time_text

if TYPE_CHECKING:
    from rooftune.pipeline.compare import ComparedModel

_WIDE = 100  # columns from which every number fits in


@app.command()
def compare(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="ONNX files; or two run folders or records.", show_default=False),
    ],
    machine: Annotated[
        list[str] | None,
        typer.Option(
            "--machine", "-m", metavar="NAME", help="May be repeated. Default: this machine.", show_default=False
        ),
    ] = None,
    threads: Threads = None,
    shape: Shapes = None,
    batch: Batch = None,
    groups: BackendGroups = "onnxruntime",
    number_format: NumberFormat = None,
    as_json: Json = False,
) -> None:
    """Several models on several machines side by side, or the gap ledgers of two measured runs."""
    if any(_is_record(s) for s in sources):
        if len(sources) != 2 or not all(_is_record(s) for s in sources):
            raise InputError(
                f"found {sum(map(_is_record, sources))} records among {len(sources)} arguments",
                "compare two records with each other, or models with models",
            )
        _ledgers(sources[0], sources[1], as_json)
        return
    from rooftune.pipeline.compare import compare as run
    from rooftune.records import plain

    rows = run(
        sources,
        machine or ["host"],
        threads=threads,
        shapes=read_shapes(shape),
        batch=batch,
        backend=groups,
        number_format=number_format,
        progress=ScreenProgress(),
    )
    if as_json:
        print_json({"rows": plain(rows)})
        return
    _print(rows, Screen())


def _print(rows: Sequence[ComparedModel], screen: Screen) -> None:
    """One line per model and machine; a narrow screen shows less. Why a time is unknown follows below."""
    wide = screen.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("model", "machine"):
        table.add_column(header, overflow="fold")
    numbers = ("params", "MACs", *(("bytes (fused)",) if wide else ()), "FLOP/B", *(("ridge",) if wide else ()))
    for header in numbers:
        table.add_column(header, justify="right", overflow="fold")
    table.add_column("bound")
    for header in ("roof", "predicted"):
        table.add_column(header, justify="right")
    unknown: dict[str, None] = {}
    for row in rows:
        for seconds in (row.roof_seconds, row.predicted_seconds):
            if isinstance(seconds, Unknown):
                unknown[f"{row.model}: {seconds.reason}"] = None
        table.add_row(
            Text(row.model),
            Text(row.machine),
            count_text(row.params),
            count_text(row.macs),
            *((count_text(row.fused_bytes, "B"),) if wide else ()),
            "–" if row.intensity is None else f"{row.intensity:.3g}",
            *(("–" if row.ridge is None else f"{row.ridge:.3g}",) if wide else ()),
            row.bound or "–",
            _time(row.roof_seconds),
            _time(row.predicted_seconds),
        )
    screen.print(table)
    for reason in unknown:
        screen.print(f"unknown: {reason}", markup=False, highlight=False)


def _time(value: float | Unknown) -> str:
    return "unknown" if isinstance(value, Unknown) else time_text(value)


def _is_record(path: Path) -> bool:
    return (path.is_dir() and (path / "record.json").exists()) or path.suffix == ".json"


def _ledgers(before: Path, after: Path, as_json: bool) -> None:
    from rooftune.pipeline.compare import compare_ledgers
    from rooftune.records import plain, read_record

    rows = compare_ledgers(read_record(before), read_record(after))
    if as_json:
        print_json({"ledger": [{**plain(r), "saved_seconds": r.saved_seconds} for r in rows]})
        return
    table = Table("cause", str(before), str(after), "saved", box=None)
    for row in rows:
        saved = ("−" if row.saved_seconds < 0 else "") + time_text(abs(row.saved_seconds))
        table.add_row(row.cause, time_text(row.before_seconds), time_text(row.after_seconds), saved)
    total = sum(r.saved_seconds for r in rows)
    table.add_row(
        "all",
        time_text(sum(r.before_seconds for r in rows)),
        time_text(sum(r.after_seconds for r in rows)),
        ("−" if total < 0 else "") + time_text(abs(total)),
    )
    Screen().print(table)
