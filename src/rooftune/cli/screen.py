"""What goes to the screen: results to standard output, progress and warnings to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status

__all__ = ["Screen", "ScreenProgress", "print_json", "print_record", "warn"]


class Screen(Console):
    """Standard output for people. A reader that goes away, as `head` does, is no failure of ours."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_json(value: Mapping[str, Any]) -> None:
    """Exactly one JSON object on standard output; in ASCII, which every terminal and pipe understands."""
    json.dump(value, sys.stdout, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_record(record: Mapping[str, Any]) -> None:
    """The terminal form of a record."""
    from rooftune.report.text import render_text

    render_text(record, Screen())


def warn(warnings: Sequence[str]) -> None:
    """Warnings, one line each, on standard error."""
    for text in warnings:
        print(f"rooftune: warning: {text}", file=sys.stderr)


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
        if not self._console.is_terminal:
            print(f"rooftune: {text}", file=sys.stderr, flush=True)
            yield
            self._stage = outer
            return
        if self._status is None:
            with self._console.status(text) as self._status:
                try:
                    yield
                finally:
                    self._status = None
                    self._stage = outer
        else:
            self._status.update(text)
            yield
            self._stage = outer
            self._status.update(outer)

    def update(self, text: str, done: float | None = None) -> None:
        """What is happening now, behind the name of the stage."""
        if self._status is not None:
            share = f" ({100 * done:.0f} %)" if done is not None else ""
            self._status.update(f"{self._stage}: {text}{share}")
