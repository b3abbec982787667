"""Lines on the screen that keep their indentation where they are wrapped."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from rooftune.cli.screen import Screen, one_line

__all__ = ["print_indented"]


def print_indented(lines: Iterable[str]) -> None:
    """Print lines of which a wrapped one goes on under its own beginning, behind its `- ` or `+ `."""
    screen = Screen()
    for line in lines:
        text = one_line(line)
        mark = text[:2] if text.startswith(("- ", "+ ")) else ""
        start = " " * (len(line) - len(line.lstrip(" "))) + mark
        if not text or not start:
            screen.print(Text(text), highlight=False)
            continue
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(start), Text(text[len(mark) :]))
        screen.print(grid, highlight=False)
