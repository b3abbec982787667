"""How a benchmark ends: which goals were reached, and an exit code that says whether all of them were."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TextIO

__all__ = ["judge"]


def judge(reached: Mapping[str, bool], out: TextIO | None = None) -> int:
    """Print how many goals were reached and which were missed (to `out`, default the screen); 0 where none was."""
    screen = out or sys.stdout
    missed = [goal for goal, met in reached.items() if not met]
    print(f"{len(reached) - len(missed)} of {len(reached)} goals reached", file=screen)
    for goal in missed:
        print(f"MISSED  {goal}", file=screen)
    return 1 if missed else 0
