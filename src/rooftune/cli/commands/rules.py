"""`rooftune rules`: the rewrites there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rooftune.cli.app import app
from rooftune.cli.indented import print_indented
from rooftune.cli.options import Json
from rooftune.cli.screen import Screen, print_json

if TYPE_CHECKING:
    from rooftune.rewrite.order import Step

_TITLES = {
    "bitwise": "Bitwise: the same to the last bit",
    "reassociates": "Reassociates: the same operations in another order",
    "approximates": "Approximates: another formula, close to the old one",
}


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
    elif name is not None:
        print_indented(rule_text(steps[0]))
    else:
        _print_list(steps)


def _print_list(steps: tuple[Step, ...]) -> None:
    """By exactness, the exact ones first; within that in the order in which the rules speak."""
    from rooftune.pipeline.explain_rewrite import rule_use
    from rooftune.verdicts import Exactness

    screen = Screen()
    longest = max((len(step.name) for step in steps), default=0)
    for exactness in Exactness:
        found = [step for step in steps if step.exactness is exactness]
        if not found:
            continue
        screen.print(Text(_TITLES[exactness.value], style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, min_width=longest + 2)
        table.add_column()
        for step in found:
            use = rule_use(step)
            told = Text(step.title).append("" if use == "by default" else f" ({use})", style="dim")
            table.add_row(Text(f"  {step.name}"), told)
        screen.print(table)
        screen.print()
    screen.print(Text("`rooftune rules RULE` shows one with its examples.", style="dim"))
