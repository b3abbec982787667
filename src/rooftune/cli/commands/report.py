"""`rooftune report FOLDER`: draw a record again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rooftune.cli.app import app
from rooftune.cli.options import Json, check_output_file
from rooftune.cli.screen import print_json, print_record


@app.command()
def report(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A run folder or a record.json.", show_default=False)
    ],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page here.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the report of an earlier run again, from its record."""
    from rooftune.records import read_record

    check_output_file(html)
    record = read_record(source)
    if html is not None:
        from rooftune.report.html import write_html

        write_html(record, html)
        print(f"rooftune: report written to {html}", file=sys.stderr)
    if as_json:
        print_json(record)
    elif html is None:
        print_record(record)
