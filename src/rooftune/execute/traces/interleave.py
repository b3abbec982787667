"""Runs with and without profiling in turns, so that both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rooftune.execute.competitor import PAUSE_SECONDS

__all__ = ["time_both"]

TURNS = 4


def time_both(plain: Callable[[], object], profiled: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median seconds of `runs` runs of each, after a warm-up of each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in (plain, profiled):
        run()
        run()
    left = runs
    while left > 0:
        turn = min(left, max(1, -(-runs // TURNS)))
        left -= turn
        for run, kept in zip((plain, profiled), seconds):
            time.sleep(PAUSE_SECONDS)
            for _ in range(turn):
                start = time.perf_counter_ns()
                run()
                kept.append((time.perf_counter_ns() - start) * 1e-9)
    return statistics.median(seconds[0]), statistics.median(seconds[1])
