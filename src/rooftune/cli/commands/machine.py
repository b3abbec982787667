"""`rooftune machine probe|list|show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from rooftune.cli.app import app
from rooftune.cli.options import Json
from rooftune.cli.screen import ScreenProgress, print_json, warn
from rooftune.quantities import Unknown, si

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

    found = probe_host(ScreenProgress(), quick=quick)
    path = store_machine(found)
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
    table = Table("id", "name", "kind", "fp32", "fp16", "int8", "memory", "ridge (fp32)", header_style="bold", box=None)
    for m in machines:
        row = _row(m)
        table.add_row(
            m.id, m.name, m.kind, *(_rate(row[k], u) for k, u in (("fp32", "FLOP/s"), ("fp16", "FLOP/s"), ("int8", "OP/s"))),
            _rate(row["dram_bytes_per_second"], "B/s"),
            "–" if row["ridge"] is None else f"{row['ridge']:.3g} FLOP/B",
        )  # fmt: skip
    Console().print(table)


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


def _rate(value: float | None, unit: str) -> str:
    return "–" if value is None else si(value, unit)


def _print(m: Any, as_json: bool) -> None:
    from rooftune.pipeline.facts import machine_facts

    facts = machine_facts(m)
    if as_json:
        print_json(facts)
        return
    console = Console()
    console.print(f"[bold]{m.name}[/bold]  {m.kind}  {m.microarchitecture}  {m.date}".rstrip())
    if m.clock_hz:
        console.print(f"clock {m.clock_hz / 1e9:.3g} GHz, {m.threads} threads, {' '.join(m.isa)}")
    peaks = Table(
        "format", "threads", "peak", "theoretical", "share", "spread", "instruction", "standing", "source", box=None
    )
    for p in facts["peaks"]:
        theory = p["theoretical_flops_per_second"]
        peaks.add_row(
            p["format"] + (" sparse" if p["sparse"] else ""), str(p["threads"] or "all"), si(p["flops_per_second"], "FLOP/s"),
            _rate(theory, "FLOP/s"), f"{100 * p['flops_per_second'] / theory:.1f} %" if theory else "–",
            f"{100 * p['variation']:.1f} %" if p["variation"] is not None else "–",
            p["instruction"] or p["engine"], p["standing"], p["source"],
        )  # fmt: skip
    console.print(peaks)
    levels = Table("level", "size", "threads", "pattern", "stores", "bandwidth", "standing", "source", box=None)
    for level in facts["levels"]:
        size = f"{level['size_bytes'] / 2**10:.0f} KiB" if level["size_bytes"] else "–"
        for b in level["bandwidths"]:
            levels.add_row(
                level["name"], size, str(b["threads"] or "all"), b["pattern"], b["stores"],
                si(b["bytes_per_second"], "B/s"), b["standing"], b["source"],
            )  # fmt: skip
    console.print(levels)
    for note in m.notes:
        console.print(f"note: {note}")
