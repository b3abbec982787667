"""Runs with and without profiling in turns, so that both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rooftune.execute.competitor import PAUSE_SECONDS

__all__ = ["WARM_UP_RUNS", "BothTimes", "time_both"]

TURNS = 4
WARM_UP_RUNS = 2


@dataclass(frozen=True)
class BothTimes:
    """Seconds of every run, without and with profiling, warm-up left out."""

    plain: list[float] = field(default_factory=list)
    profiled: list[float] = field(default_factory=list)

    @property
    def plain_median(self) -> float:
        return statistics.median(self.plain)

    @property
    def profiled_median(self) -> float:
        return statistics.median(self.profiled)

    @property
    def profiled_mean(self) -> float:
        return statistics.fmean(self.profiled)


def time_both(plain: Callable[[], object], profiled: Callable[[], object], runs: int) -> BothTimes:
    """Seconds of `runs` runs of each, after a warm-up of `WARM_UP_RUNS` runs of each."""
    times = BothTimes()
    for run in (plain, profiled):
        for _ in range(WARM_UP_RUNS):
            run()
    left = runs
    while left > 0:
        turn = min(left, max(1, -(-runs // TURNS)))
        left -= turn
        for run, kept in ((plain, times.plain), (profiled, times.profiled)):
            time.sleep(PAUSE_SECONDS)
            for _ in range(turn):
                start = time.perf_counter_ns()
                run()
                kept.append((time.perf_counter_ns() - start) * 1e-9)
    return times
