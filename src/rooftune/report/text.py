"""The report for the terminal: the same record, through rich, in 80 columns or more, plain where nothing can colour.

Every string of the record becomes a `Text`, never markup, and `reading.words` has taken its control characters out:
a node name cannot colour, link or move the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console, ConsoleRenderable, Group
from rich.constrain import Constrain
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from rooftune.report import rewriting, tables
from rooftune.report.algorithms import algorithm_table
from rooftune.report.ledger import CAUSES, bar
from rooftune.report.operators import Operator, measured, predicted, same_run
from rooftune.report.reading import ABSENT, duration, number, percent, positive, ratio, section, shortened, words
from rooftune.report.summary import Fact, facts, key_figures, kind_of, verdict
from rooftune.report.table import Table
from rooftune.report.text_roofline import text_roofline

__all__ = ["render_text"]

_STYLES = {
    "roof": "blue",
    "padding": "bright_cyan",
    "utilisation": "yellow",
    "traffic": "red",
    "dispatch": "green",
    "unfused": "magenta",
    "residual": "bright_black",
}
_TONES = {"good": "green", "bad": "red", "muted": "dim", "": ""}
_LETTERS = {
    "roof": "#",
    "padding": "p",
    "utilisation": "u",
    "traffic": "t",
    "dispatch": "d",
    "unfused": "f",
    "residual": ".",
}
_TOP_OPERATORS = 10
_MOST_ROWS = 12
_LONGEST_CAUSE = 60


def render_text(record: Mapping[str, Any], console: Console, *, width: int | None = None) -> None:
    """Print the report of a record.

    `width` is in columns; without it the console's own width counts, 140 at most. What has no data is left out.
    """
    columns = max(40, min(width or console.width, 140))
    for block in _blocks(record, columns, _is_plain(console)):
        console.print(Constrain(block, columns), highlight=False)
        console.print()


def _is_plain(console: Console) -> bool:
    """True where blocks of the bars could not be told apart by colour: letters are drawn instead."""
    return console.options.ascii_only or console.color_system is None or console.no_color


def _blocks(record: Mapping[str, Any], columns: int, plain: bool) -> Iterator[ConsoleRenderable]:
    yield _head(record)
    yield from _rewriting(record, columns)
    if kind_of(record) == "rewrite":
        # the model that was left is what `rooftune analyze` is for
        yield from _closing(record)
        return
    totals = tables.total_table(record)
    if totals.rows and kind_of(record) != "optimize":
        yield _totals(totals, columns)
    chart = text_roofline(record, columns, plain)
    if chart is not None:
        yield Group(_title("Roofline"), chart)
    yield from _ledger(record, columns, plain)
    operators = _operators(record)
    if operators:
        yield _top(operators, columns, plain)
    chosen = algorithm_table(record)
    if chosen.rows:
        yield _grid(replace(chosen, rows=chosen.rows[:_TOP_OPERATORS]), columns)
    for make in (
        tables.counterfactual_table,
        tables.step_table,
        tables.candidate_table,
        tables.refused_table,
        tables.unknown_table,
    ):
        table = make(record)
        if table.rows:
            yield _grid(table, columns)
    yield from _closing(record)


def _rewriting(record: Mapping[str, Any], columns: int) -> Iterator[ConsoleRenderable]:
    """The rules that were applied and those that were refused."""
    if not section(record, "rewrite"):
        return
    applied, refused = rewriting.applied_table(record), rewriting.refusal_table(record)
    yield _grid(applied, columns) if applied.rows else Text("No rule applied.")
    if refused.rows:
        yield _grid(refused, columns)
    for note in rewriting.notes(record):
        yield Text(f"Note: {shortened(note, 400)}", style="yellow")


def _title(text: str) -> Text:
    return Text(text, style="bold")


def _head(record: Mapping[str, Any]) -> Panel:
    """The verdict with the key figures and what they are about."""
    figures = Grid.grid(padding=(0, 2))
    figures.add_column(style="dim", no_wrap=True)
    figures.add_column(no_wrap=True)
    figures.add_column(style="dim")
    for key in key_figures(record):
        figures.add_row(Text(key.title), Text(key.value, style=f"bold {_TONES[key.tone]}".strip()), Text(key.note))
    about = Text(" · ".join(_fact(fact) for fact in facts(record)), style="dim")
    parts: list[ConsoleRenderable] = [Text(verdict(record), style="bold")]
    if figures.row_count:
        parts += [Text(), figures]
    if about:
        parts += [Text(), about]
    return Panel(Group(*parts), title=Text(f"Rooftune {kind_of(record)}"), title_align="left", padding=(0, 1))


def _fact(fact: Fact) -> str:
    value = shortened(fact.value, 60)
    return f"{value} threads" if fact.title == "Threads" and value != "1" else value


def _totals(table: Table, columns: int) -> Group:
    """The totals in two columns of pairs, side by side where there is room."""
    pairs = [(row[0].text, row[1].text) for row in table.rows]
    sides = 2 if columns >= 110 and len(pairs) > 6 else 1
    half = -(-len(pairs) // sides)
    grid = Grid.grid(padding=(0, 3))
    for _ in range(sides):
        grid.add_column(style="dim")
        grid.add_column(justify="right")
    for index in range(half):
        cells: list[Text] = []
        for side in range(sides):
            place = index + side * half
            what, value = pairs[place] if place < len(pairs) else ("", "")
            cells += [Text(what), Text(shortened(value, 40))]
        grid.add_row(*cells)
    return Group(_title("Totals"), grid)


def _ledger(record: Mapping[str, Any], columns: int, plain: bool) -> Iterator[ConsoleRenderable]:
    """One bar per run, as long as its time, and the shares beside their causes."""
    profiles = section(record, "profiles")
    before, after = profiles.get("before"), profiles.get("after")
    single = same_run(before, after)
    runs = [("measured", after or before)] if single else [("before", before), ("after", after)]
    longest = max((positive(section(run).get("model_seconds")) or 0.0 for _, run in runs), default=0.0)
    bars = [made for title, run in runs if (made := bar(title, run, longest)) is not None]
    if not bars:
        return
    room = columns - 22
    lines = Grid.grid(padding=(0, 1))
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True, justify="right")
    lines.add_column(no_wrap=True)
    for item in bars:
        strip, edge, drawn = Text(), 0.0, 0
        for part in item.segments:
            # cells go by the running edge, so that rounding never lengthens the bar
            edge += part.width * item.width * room
            cells = round(edge) - drawn
            drawn += cells
            sign = _LETTERS[part.cause.key] if plain else "█"
            strip.append(sign * cells, style=_STYLES[part.cause.key])
        lines.add_row(Text(item.title), Text(duration(item.seconds)), strip)
    table = Grid(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("cause")
    for item in bars:
        table.add_column(item.title, justify="right")
        table.add_column("", justify="right")
    if columns >= 100:
        table.add_column("meaning", style="dim")
    for cause in CAUSES:
        if all(item.share(cause.key) is None for item in bars):
            continue
        row = [Text(_LETTERS[cause.key] if plain else "█", style=_STYLES[cause.key]), Text(cause.title)]
        for item in bars:
            row += [Text(duration(item.cause_seconds(cause.key))), Text(percent(item.share(cause.key)))]
        table.add_row(*row, *([Text(cause.meaning)] if columns >= 100 else []))
    yield Group(_title("Where the time goes"), lines, Text(), table)


def _operators(record: Mapping[str, Any]) -> list[Operator]:
    profiles = section(record, "profiles")
    found = measured(profiles.get("after")) or measured(profiles.get("before")) or predicted(record)
    return [operator for operator in found if positive(operator.seconds) is not None]


def _top(operators: list[Operator], columns: int, plain: bool) -> Group:
    """Bars of the slowest operators: the lower bound inside the time."""
    shown = operators[:_TOP_OPERATORS]
    longest = number(shown[0].seconds) or 1.0
    wide = columns >= 110
    longest_name = max(len(operator.name or operator.op or "(unnamed)") for operator in shown)
    name_width = min(44 if wide else 32, max(longest_name, 8))
    longest_cause = max(len(operator.cause) for operator in shown)
    cause_width = max(16, min(_LONGEST_CAUSE, longest_cause, columns - name_width - 56)) if wide else 0
    room = max(8, columns - name_width - (48 + cause_width if wide else 36))
    grid = Grid(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    grid.add_column("operator", no_wrap=True, width=name_width)
    grid.add_column("time", justify="right", no_wrap=True)
    grid.add_column("share", justify="right", no_wrap=True)
    grid.add_column("of roof", justify="right", no_wrap=True)
    if wide:
        grid.add_column("FLOP/B", justify="right", no_wrap=True)
        grid.add_column("cause", no_wrap=True, max_width=cause_width)
    grid.add_column("lower bound within the time" if room > 26 else "", no_wrap=True)
    for operator in shown:
        cells = max(1, round(room * (number(operator.seconds) or 0.0) / longest))
        solid = min(cells, round(cells * min(1.0, max(0.0, number(operator.share_of_roof) or 0.0))))
        strip = Text(("#" if plain else "█") * solid, style="blue")
        strip.append(("-" if plain else "░") * (cells - solid), style="blue")
        row = [
            Text(shortened(operator.name or operator.op or "(unnamed)", name_width)),
            Text(duration(operator.seconds), style="bold"),
            Text(percent(operator.share)),
            Text(percent(operator.share_of_roof)),
        ]
        if wide:
            row += [Text(ratio(operator.intensity)), Text(shortened(operator.cause, cause_width))]
        grid.add_row(*row, strip)
    what = "measured" if shown[0].is_measured else "predicted"
    title = f"The {len(shown)} slowest of {len(operators):,} operators, {what}"
    return Group(_title(title if len(shown) < len(operators) else f"Operators by time, {what}"), grid)


def _grid(table: Table, columns: int) -> Group:
    """A table of the report with the columns that fit: those of low priority go first."""
    level = 3 if columns >= 130 else 2
    kept = [index for index, column in enumerate(table.columns) if column.priority <= level]
    grid = Grid(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    longest = max((len(row[0].text) + len(row[0].under) + 3 for row in table.rows[:_MOST_ROWS]), default=0)
    for index in kept:
        column = table.columns[index]
        grid.add_column(
            Text(column.title.lower().replace(" ", "\n") if column.numeric else column.title.lower()),
            justify="right" if column.numeric else "left",
            no_wrap=column.numeric,
            overflow="fold",
            min_width=min(longest, columns // 5) if index == 0 and columns >= 80 else None,
        )
    for row in table.rows[:_MOST_ROWS]:
        cells = []
        for index in kept:
            cell = row[index]
            under = f" ({cell.under})" if cell.under else ""
            shown = "" if cell.text == ABSENT and not table.columns[index].numeric else cell.text
            cells.append(Text(shortened(shown, 160) + under, style=_TONES.get(cell.tone, "")))
        grid.add_row(*cells)
    rest = len(table.rows) - _MOST_ROWS
    parts: list[ConsoleRenderable] = [_title(table.caption), grid]
    if rest > 0:
        parts.append(Text(f"and {rest:,} more", style="dim"))
    return Group(*parts)


def _closing(record: Mapping[str, Any]) -> Iterator[Text]:
    warnings = section(record, "model").get("warnings")
    for warning in warnings if isinstance(warnings, list | tuple) else ():
        if words(warning):
            yield Text(f"Warning: {shortened(words(warning), 400)}", style="yellow")
    method = record.get("method")
    sentences = [words(item) for item in method if words(item)] if isinstance(method, list | tuple) else []
    if sentences:
        yield Text(" ".join(sentences), style="dim")
