"""`rooftune machine probe|list|show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rooftune.cli.app import app
from rooftune.cli.machine_tables import print_machine, print_machines
from rooftune.cli.options import Json, check_output_file
from rooftune.cli.screen import Screen, ScreenProgress, print_json, warn
from rooftune.quantities import Unknown

machine = typer.Typer(
    help="What machines can do: measure this one, list and show the known ones.", no_args_is_help=True
)
app.add_typer(machine, name="machine")


@machine.command()
def probe(
    quick: Annotated[bool, typer.Option("--quick", help="Shorter windows: some seconds, less exact.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also write the TOML here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure this CPU's ceilings and remember them."""
    from rooftune.execute.probe.probe import probe_host
    from rooftune.execute.probe.stored import store_machine
    from rooftune.machine.files import write_machine

    check_output_file(output)
    found = probe_host(ScreenProgress(), quick=quick)
    path = store_machine(found, quick=quick)
    if output is not None:
        write_machine(found, output)
    print(f"rooftune: remembered in {path}", file=sys.stderr)
    _print(found, as_json)


@machine.command("list")
def list_(as_json: Json = False) -> None:
    """Every machine of the catalog and of your own files."""
    from rooftune.execute.probe.stored import home
    from rooftune.machine.devices import list_machines

    listed = list_machines(home())
    machines, broken = listed.machines, listed.problems
    warn([str(b) for b in broken])
    if as_json:
        print_json({"machines": [_row(m) for m in machines]})
        return
    print_machines([_row(m) for m in machines], Screen())


@machine.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="`host`, an id of the list, or a TOML file.")] = "host",
    as_json: Json = False,
) -> None:
    """Every number of one machine, with its standing and source."""
    from rooftune.pipeline.prepare import open_machine

    _print(open_machine(name, ScreenProgress()), as_json)


def _known(value: float | Unknown) -> float | None:
    return None if isinstance(value, Unknown) else value


def _row(m: Any) -> dict[str, Any]:
    return {
        "id": m.id,
        "name": m.name,
        "kind": m.kind,
        "fp32": _known(m.peak("fp32")),
        "fp16": _known(m.peak("fp16")) or _known(m.peak("bf16")),
        "int8": _known(m.peak("int8")),
        "dram_bytes_per_second": _known(m.bandwidth("DRAM")),
        "ridge": _known(m.ridge()),
    }


def _print(m: Any, as_json: bool) -> None:
    from rooftune.pipeline.facts import machine_facts

    facts = machine_facts(m)
    if as_json:
        print_json(facts)
    else:
        print_machine(facts, Screen())
