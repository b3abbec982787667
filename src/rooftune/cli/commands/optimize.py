"""`rooftune optimize MODEL`: the main job."""

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
    Seed,
    Shapes,
    Threads,
    read_seconds,
    read_shapes,
)
from rooftune.cli.screen import ScreenProgress, print_json, print_record
from rooftune.errors import ConstraintNotMet


@app.command()
def optimize(
    model: ModelPath,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Run folder to write. Default: MODEL-rooftune/.", show_default=False
        ),
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends", metavar="A,B", help="Engines to choose among. Default: all installed.", show_default=False
        ),
    ] = None,
    threads: Threads = None,
    objective: Annotated[str, typer.Option("--objective", metavar="GOAL", help="latency or throughput.")] = "latency",
    data: InputFile = None,
    shape: Shapes = None,
    batch: Batch = None,
    budget: Annotated[
        str, typer.Option("--budget", metavar="TIME", help="Time to spend on measuring, such as 60s or 5m.")
    ] = "60s",
    seed: Seed = 0,
    exactness: ExactnessOption = "approximates",
    rewrite: Annotated[
        bool, typer.Option("--rewrite/--no-rewrite", help="Also try the losslessly rewritten graph.")
    ] = True,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="RULE", help="Leave a rewrite rule out; may be repeated.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output even if it is no run folder.")] = False,
    as_json: Json = False,
) -> None:
    """Find, verify and write down the fastest way to run a model on this machine."""
    from rooftune.pipeline.optimize import optimize as run

    target = out if out is not None else Path(f"{model.stem}-rooftune")
    outcome = run(
        model,
        target,
        backends=[b.strip() for b in backends.split(",") if b.strip()] if backends is not None else None,
        threads=threads,
        objective=objective,
        inputs=data,
        shapes=read_shapes(shape),
        batch=batch,
        budget=read_seconds(budget),
        seed=seed,
        exactness=exactness,
        rewrite=rewrite,
        skip=skip or (),
        force=force,
        progress=ScreenProgress(),
        command=["rooftune", *sys.argv[1:]],
    )
    record = outcome.record.to_json()
    if as_json:
        print_json({**record, "folder": str(outcome.folder)})
    else:
        print_record(record)
    print(f"rooftune: report at {outcome.folder / 'report.html'}", file=sys.stderr)
    if outcome.record.verification is not None and not outcome.record.verification.passed:
        raise ConstraintNotMet(
            f"the result could not be verified: {outcome.record.verification.reason}",
            "give real data with --input, or look at the outputs it names",
        )
