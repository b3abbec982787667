"""`rooftune profile MODEL`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rooftune.cli.app import app
from rooftune.cli.options import (
    Batch,
    ExactnessOption,
    InputFile,
    Json,
    ModelPath,
    ReportFile,
    Seed,
    Shapes,
    Threads,
    check_output_file,
    read_shapes,
)
from rooftune.cli.screen import ScreenProgress, print_json, print_record


@app.command()
def profile(
    model: ModelPath,
    backend: Annotated[str, typer.Option("--backend", metavar="NAME", help="The engine to look into.")] = "onnxruntime",
    threads: Threads = None,
    data: InputFile = None,
    shape: Shapes = None,
    batch: Batch = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, help="Profiled runs; medians count.")] = 30,
    checks: Annotated[
        int, typer.Option("--checks", metavar="N", min=0, help="Operators to run again under changed conditions.")
    ] = 3,
    seed: Seed = 0,
    exactness: ExactnessOption = "approximates",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Also write the record here (JSON).", show_default=False),
    ] = None,
    report: ReportFile = None,
    as_json: Json = False,
) -> None:
    """Where the measured time goes, operator by operator, and why it is not at the roof."""
    from rooftune.pipeline.profile import profile as run

    check_output_file(out)
    check_output_file(report)
    record = run(
        model,
        backend=backend,
        threads=threads,
        inputs=data,
        shapes=read_shapes(shape),
        batch=batch,
        runs=runs,
        checks=checks,
        seed=seed,
        exactness=exactness,
        progress=ScreenProgress(),
        command=["rooftune", *sys.argv[1:]],
    )
    if out is not None:
        record.write(out)
        print(f"rooftune: record written to {out}", file=sys.stderr)
    value = record.to_json()
    if report is not None:
        from rooftune.report.html import write_html

        write_html(value, report)
        print(f"rooftune: report written to {report}", file=sys.stderr)
    if as_json:
        print_json(value)
    else:
        print_record(value)
