"""`rooftune rules`: the rewrites there are."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rooftune.cli.app import app
from rooftune.cli.options import Json
from rooftune.cli.screen import Screen, print_json


@app.command()
def rules(
    name: Annotated[
        str | None, typer.Argument(metavar="[RULE]", help="Show this rule with its examples.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the rewrite rules, or show one with its examples."""
    from rooftune.pipeline.explain_rewrite import rule_facts, rule_text
    from rooftune.rewrite.order import all_steps, choose_steps

    steps = choose_steps((name,)) if name is not None else tuple(all_steps().values())
    if as_json:
        print_json({"rules": [rule_facts(step) for step in steps]})
        return
    screen = Screen()
    if name is not None:
        screen.print("\n".join(rule_text(steps[0])), markup=False, highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("Rule", "Exactness", "Default", "What it does"):
        table.add_column(title)
    for step in steps:
        facts = rule_facts(step)
        when = "no" if not facts["default"] else "if it pays" if facts["must_pay"] else "yes"
        table.add_row(*(Text(t) for t in (step.name, step.exactness.value, when, step.title)))
    screen.print(table)
