"""`rooftune doctor`: is everything there?"""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from rooftune.cli.app import app
from rooftune.cli.options import Json
from rooftune.cli.screen import Screen, print_json


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check engines, compiler, probe and cache folder; exit code 3 when the main job cannot be done."""
    from rooftune.pipeline.doctor import examine

    findings = examine()
    if as_json:
        print_json({"findings": [f.__dict__ for f in findings]})
    else:
        table = Table("", "what", "found", "what to do", box=None)
        for f in findings:
            mark = {"ok": "[green]ok[/green]", "missing": "[yellow]–[/yellow]", "broken": "[red]✗[/red]"}[f.status]
            table.add_row(mark, *map(escape, (f.what, f.found, f.remedy)))
        Screen().print(table)
    if any(f.status == "broken" for f in findings):
        raise typer.Exit(3)
