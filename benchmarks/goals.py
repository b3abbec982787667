"""How a benchmark ends: which goals were reached, and an exit code that says whether all of them were."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from rooftune.cli.screen import print_json

__all__ = ["conclude", "judge"]


def judge(reached: Mapping[str, bool], out: TextIO | None = None) -> int:
    """Print how many goals were reached and which were missed (to `out`, default the screen); 0 where none was."""
    screen = out or sys.stdout
    missed = [goal for goal, met in reached.items() if not met]
    print(f"{len(reached) - len(missed)} of {len(reached)} goals reached", file=screen)
    for goal in missed:
        print(f"MISSED  {goal}", file=screen)
    return 1 if missed else 0


def conclude(record: Mapping[str, Any], as_json: bool, show: Callable[[], None]) -> int:
    """Print a record whole, or as the table that `show` prints, and judge its goals; the exit code."""
    if as_json:
        print_json(record)
    else:
        show()
    return judge(record["goals"], sys.stderr if as_json else sys.stdout)
