"""`rooftune gpu`: the NVIDIA GPUs of this machine."""

from __future__ import annotations

from rich.table import Table

from rooftune.cli.app import app
from rooftune.cli.options import Json
from rooftune.cli.screen import Screen, print_json
from rooftune.quantities import Unknown
from rooftune.records import plain


@app.command()
def gpu(as_json: Json = False) -> None:
    """The GPUs of this machine: name, memory, clocks. A reading nobody gives is N/A, never 0."""
    from rooftune.machine.gpu import list_gpus

    found = list_gpus()
    if as_json:
        print_json({"gpus": plain(list(found))})
        return
    if not found:
        print("no NVIDIA GPU found (no driver answers)")
        return
    rows = [dict(vars(g)) for g in found]
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*("N/A" if isinstance(v, Unknown) else str(v) for v in row.values()))
    Screen().print(table)
