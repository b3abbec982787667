"""What goes to the screen: results to standard output, progress and warnings to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

__all__ = ["Screen", "ScreenProgress", "one_line", "print_json", "print_record", "warn"]


class Screen(Console):
    """Standard output for people. A reader that goes away, as `head` does, is no failure of ours."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_json(value: Mapping[str, Any]) -> None:
    """Exactly one JSON object on standard output; in ASCII, which every terminal and pipe understands."""
    try:
        json.dump(value, sys.stdout, allow_nan=False)
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise BrokenPipeError from None  # without the number, at which typer would end with 1


def print_record(record: Mapping[str, Any]) -> None:
    """The terminal form of a record."""
    from rooftune.report.text import render_text

    render_text(record, Screen())


def warn(warnings: Sequence[str]) -> None:
    """Warnings, one line each, on standard error."""
    for text in warnings:
        print(f"rooftune: warning: {one_line(text)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Text on one line; a name in a model cannot colour the terminal or move its cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


class ScreenProgress:
    """Progress on standard error: a spinner on a terminal, a line per stage elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status: Status | None = None
        self._stage = ""

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Show `text` while the block runs; stages may nest."""
        outer, self._stage = self._stage, text
        try:
            if not self._console.is_terminal:
                print(f"rooftune: {text}", file=sys.stderr, flush=True)
                yield
            elif self._status is None:
                with self._console.status(Text(text)) as self._status:
                    yield
            else:
                self._status.update(Text(text))
                yield
                self._status.update(Text(outer))
        finally:
            self._stage = outer
            if not outer:
                self._status = None

    def update(self, text: str, done: float | None = None) -> None:
        """What is happening now, behind the name of the stage."""
        if self._status is not None:
            share = f" ({100 * done:.0f} %)" if done is not None else ""
            self._status.update(Text(f"{self._stage}: {text}{share}"))
