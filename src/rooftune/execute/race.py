"""A fair race: engines in processes of their own, in turns, with a twin that says how far to trust the numbers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rooftune.execute.competitor import PAUSE_SECONDS, Competitor, Entry, Lap
from rooftune.execute.statistics import Interval, ratio_interval
from rooftune.protocols import Arrays, Progress, SilentProgress

__all__ = ["Entry", "Lap", "RaceResult", "race"]

TWIN_TOLERANCE = 0.02
LEAST_ROUNDS = 8


@dataclass(frozen=True)
class RaceResult:
    """The laps in the order of the entries, and the twin: the same engine twice, timed like two.

    twin     ratio of the entry `twin_of` to its twin, 1 when the measurement is sound
    settled  True when the twin's whole interval lay within 2 % of 1 before the budget ended
    """

    laps: tuple[Lap, ...]
    twin: Interval | None
    twin_of: int
    settled: bool
    rounds: int
    seconds_spent: float

    def ratio(self, slower: int, faster: int) -> Interval:
        """How many times faster entry `faster` is than entry `slower`: the median of ratios paired by round."""
        for index in (slower, faster):
            if self.laps[index].failed:
                raise ValueError(f"{self.laps[index].entry.name} did not finish: {self.laps[index].error}")
        return ratio_interval(self.laps[slower].medians, self.laps[faster].medians)

    def fastest(self, among: Sequence[int] | None = None) -> int | None:
        """Index of the lap with the smallest median; None when every one failed."""
        indices = range(len(self.laps)) if among is None else among
        finished = [(lap.seconds.median, i) for i in indices if (lap := self.laps[i]).seconds is not None]
        return min(finished)[1] if finished else None


def race(
    entries: Sequence[Entry],
    inputs: Arrays,
    *,
    budget_seconds: float,
    twin_of: int | None = 0,
    progress: Progress | None = None,
    timeout: float = 600.0,
    tolerance: float = TWIN_TOLERANCE,
    least_rounds: int = LEAST_ROUNDS,
) -> RaceResult:
    """Measure what is compared in turns (A B C, B C A, ...) until the twins agree or the budget is used up.

    Every entry has a process of its own; a turn is about `max(5 runs, 30 ms)` after a pause of 50 ms.
    `twin_of` names the entry that takes part twice (None: no twin, `settled` is then False and the whole
    budget is used). At least `least_rounds` rounds are made, whatever the budget says. An entry whose
    engine refuses, crashes or hangs is kept with its reason and the others go on.
    """
    progress = progress or SilentProgress()
    started = time.monotonic()
    runners = [Competitor(entry, timeout) for entry in entries]
    twin = Competitor(entries[twin_of], timeout) if twin_of is not None else None
    everyone = [*runners, *([twin] if twin else [])]
    with contextlib.ExitStack() as stack:
        for runner in everyone:
            stack.callback(runner.close)
            with progress.stage(f"loading {runner.entry.name}"):
                runner.guarded(lambda r=runner: r.start(inputs))  # type: ignore[misc]
                runner.guarded(runner.warm_up)
        # the budget bounds the measuring; loading must happen however long it takes
        deadline = time.monotonic() + budget_seconds
        rounds, settled = 0, False
        while any(not r.error for r in runners):
            for runner in _in_turn(everyone, rounds):
                time.sleep(PAUSE_SECONDS if not runner.error else 0.0)
                runner.guarded(runner.turn)
            rounds += 1
            agreement = _agreement(runners, twin, twin_of)
            settled = agreement is not None and agreement.within(1 - tolerance, 1 + tolerance)
            progress.update(_said(rounds, agreement), min(1.0, 1 - (deadline - time.monotonic()) / budget_seconds))
            if rounds >= least_rounds and (settled or time.monotonic() >= deadline):
                break
        for runner in everyone:
            runner.guarded(runner.finish)
    return RaceResult(
        laps=tuple(r.lap() for r in runners),
        twin=_agreement(runners, twin, twin_of),
        twin_of=-1 if twin_of is None else twin_of,
        settled=settled,
        rounds=rounds,
        seconds_spent=time.monotonic() - started,
    )


def _in_turn(everyone: Sequence[Competitor], number: int) -> list[Competitor]:
    """The order of a round: rotated each time, and turned round every second cycle so that neighbours change."""
    at = number % len(everyone)
    order = [*everyone[at:], *everyone[:at]]
    return order[::-1] if (number // len(everyone)) % 2 else order


def _agreement(runners: Sequence[Competitor], twin: Competitor | None, twin_of: int | None) -> Interval | None:
    if twin is None or twin_of is None or twin.error or runners[twin_of].error or not twin.medians:
        return None
    return ratio_interval(runners[twin_of].medians, twin.medians)


def _said(rounds: int, agreement: Interval | None) -> str:
    if agreement is None:
        return f"round {rounds}"
    return f"round {rounds}: twins at {agreement.median:.3f} [{agreement.low:.3f}, {agreement.high:.3f}]"
