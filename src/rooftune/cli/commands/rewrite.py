"""`rooftune rewrite MODEL`: a smaller, faster graph, proven equal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rooftune.cli.app import app
from rooftune.cli.indented import print_indented
from rooftune.cli.options import (
    BackendGroups,
    Batch,
    InputFile,
    Json,
    MachineName,
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
def rewrite(
    model: ModelPath,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="ONNX file to write. Default: none.", show_default=False),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="RULE", help="Use this rule alone; may be repeated.", show_default=False),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="RULE", help="Leave this rule out; may be repeated.", show_default=False),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="RULE|NODE",
            help="Say what a rule does and did here, or what the rules say to a node.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare every value that lives on, not the outputs alone.")
    ] = False,
    unverified: Annotated[bool, typer.Option("--unverified", help="Write the result without running it.")] = False,
    machine: MachineName = "host",
    threads: Threads = None,
    groups: BackendGroups = "onnxruntime",
    data: InputFile = None,
    shape: Shapes = None,
    batch: Batch = None,
    seed: Seed = 0,
    report: ReportFile = None,
    as_json: Json = False,
) -> None:
    """Make a model's graph smaller and faster without changing what it computes, and prove it."""
    from rooftune.pipeline.explain_rewrite import explained
    from rooftune.pipeline.rewrite import rewrite_graph as run
    from rooftune.report.html import write_html

    check_output_file(out)
    check_output_file(report)
    outcome = run(
        model,
        out,
        only=only or (),
        skip=skip or (),
        check=check,
        verified=not unverified,
        machine=machine,
        threads=threads,
        backend=groups,
        inputs=data,
        shapes=read_shapes(shape),
        batch=batch,
        seed=seed,
        progress=ScreenProgress(),
        command=["rooftune", *sys.argv[1:]],
    )
    record = outcome.record.to_json()
    told = explained(outcome, explain) if explain is not None else None
    if report is not None:
        write_html(record, report)
    if as_json:
        promised = ("nodes_before", "nodes_after", "applied", "refused")
        answer = {
            **record,
            **{key: record["rewrite"][key] for key in promised},
            "out": None if out is None else str(out),
        }
        print_json(answer if told is None else {**answer, "explained": told})
    elif told is not None:
        print_indented(told)
    else:
        print_record(record)
    if report is not None:
        print(f"rooftune: report written to {report}", file=sys.stderr)
    if out is not None:
        print(f"rooftune: wrote {out}", file=sys.stderr)
