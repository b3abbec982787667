"""`rooftune analyze MODEL`."""

from __future__ import annotations

import sys

from rooftune.cli.app import app
from rooftune.cli.options import (
    BackendGroups,
    Batch,
    Json,
    MachineName,
    ModelPath,
    NumberFormat,
    ReportFile,
    Shapes,
    Threads,
    check_output_file,
    read_shapes,
)
from rooftune.cli.screen import ScreenProgress, print_json, print_record, warn


@app.command()
def analyze(
    model: ModelPath,
    machine: MachineName = "host",
    threads: Threads = None,
    shape: Shapes = None,
    batch: Batch = None,
    groups: BackendGroups = "onnxruntime",
    number_format: NumberFormat = None,
    report: ReportFile = None,
    as_json: Json = False,
) -> None:
    """Where every operator stands under the machine's roof, and what the model costs."""
    from rooftune.pipeline.analyze import analysis_record, analyze_on, check_analysis_options
    from rooftune.pipeline.prepare import open_machine, open_model

    check_output_file(report)
    check_analysis_options(threads, groups, number_format)
    loaded = open_model(model, shapes=read_shapes(shape), batch=batch)
    warn(loaded.warnings)
    target = open_machine(machine, ScreenProgress())
    result = analyze_on(loaded, target, threads, groups, number_format)
    settings = {"threads": result.threads, "machine": machine, "groups": groups, "format": result.format}
    record = analysis_record(loaded, target, result, ["rooftune", *sys.argv[1:]], settings).to_json()
    if report is not None:
        from rooftune.report.html import write_html

        write_html(record, report)
        print(f"rooftune: report written to {report}", file=sys.stderr)
    if as_json:
        print_json({**record["analysis"], "model": record["model"], "verdict": record["verdict"]})
    else:
        print_record(record)
