"""Machines as tables on the terminal, in 80 columns or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rooftune.quantities import si

__all__ = ["print_machine", "print_machines"]

_WIDE = 116  # columns from which full names fit in as well


def print_machines(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """One line per machine: dense peaks, memory bandwidth and ridge; unknown ones as a dash."""
    wide = console.width >= _WIDE
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", no_wrap=True)
    if wide:
        table.add_column("name", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for header in ("fp32\nTFLOP/s", "fp16\nTFLOP/s", "int8\nTOP/s", "memory\nGB/s", "ridge\nFLOP/B"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        rates = [_scaled(row[key], 1e12) for key in ("fp32", "fp16", "int8")]
        table.add_row(
            Text(row["id"]),
            *([Text(row["name"])] if wide else []),
            row["kind"],
            *rates,
            _scaled(row["dram_bytes_per_second"], 1e9),
            _scaled(row["ridge"], 1.0),
        )
    console.print(table)


def print_machine(facts: Mapping[str, Any], console: Console) -> None:
    """Every ceiling of one machine with its standing; sources are numbered and follow the tables."""
    title = Text(str(facts["name"]), style="bold")
    console.print(title.append(f"  {facts['kind']}  {facts['microarchitecture']}  {facts['date']}".rstrip(), "none"))
    if facts["clock_hz"]:
        clock = f"clock {facts['clock_hz'] / 1e9:.3g} GHz, {facts['threads']} threads, {' '.join(facts['isa'])}"
        console.print(clock, markup=False, highlight=False)
    sources = _Sources()
    if facts["peaks"]:
        console.print(_peaks(facts["peaks"], sources))
    if facts["levels"]:
        console.print(_levels(facts["levels"], sources))
    for line in (*sources.lines(), *(f"note: {note}" for note in facts["notes"])):
        console.print(line, markup=False, highlight=False)


class _Sources:
    """Numbers for sources, in the order they are first met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def standing(self, ceiling: Mapping[str, Any]) -> Text:
        source = ceiling["source"]
        number = f" [{self._numbers.setdefault(source, len(self._numbers) + 1)}]" if source else ""
        return Text(f"{ceiling['standing']}{number}")

    def lines(self) -> list[str]:
        return [f"[{number}] {source}" for source, number in self._numbers.items()]


def _peaks(peaks: Sequence[Mapping[str, Any]], sources: _Sources) -> Table:
    table = Table("format", "threads", "peak", "of theory", "spread", "with", "standing", box=None, header_style="bold")
    for p in peaks:
        theory = p["theoretical_flops_per_second"]
        table.add_row(
            p["format"] + (" sparse" if p["sparse"] else ""),
            str(p["threads"] or "all"),
            si(p["flops_per_second"], "OP/s" if p["format"].startswith("int") else "FLOP/s"),
            _percent(p["flops_per_second"] / theory if theory else None),
            _percent(p["variation"]),
            Text(p["instruction"] or p["engine"]),
            sources.standing(p),
        )
    return table


def _levels(levels: Sequence[Mapping[str, Any]], sources: _Sources) -> Table:
    table = Table("level", "size", "threads", "pattern", "bandwidth", "standing", box=None, header_style="bold")
    for level in levels:
        for b in level["bandwidths"]:
            stores = "" if b["stores"] == "ordinary" else f", {b['stores']}"
            table.add_row(
                level["name"],
                _size(level["size_bytes"]),
                str(b["threads"] or "all"),
                b["pattern"] + stores,
                si(b["bytes_per_second"], "B/s"),
                sources.standing(b),
            )
    return table


def _scaled(value: float | None, unit: float) -> str:
    if value is None:
        return "–"
    number = value / unit
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _size(size: int | None) -> str:
    """Caches have binary sizes; memories are known by their decimal ones."""
    if not size:
        return "–"
    if size >= 2**30:
        return si(size, "B")
    factor, unit = (2**20, "MiB") if size >= 2**20 else (2**10, "KiB")
    return f"{size / factor:.4g} {unit}"
