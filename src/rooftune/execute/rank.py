"""Find the fastest of many candidates: screen each alone, then halve by short races until few are left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import psutil

from rooftune.execute.competitor import PAUSE_SECONDS, Competitor, Entry, Lap
from rooftune.execute.race import RaceResult, race
from rooftune.protocols import Arrays, Progress, SilentProgress

__all__ = ["Ranking", "Standing", "rank"]

SCREENING_SHARE = 0.45  # of the budget, for candidates alone
HALVING_SHARE = 0.2  # for the short races between; the rest is the final's
SCREENING_TURNS = 3
HALVING_ROUNDS = 3
HOPELESS = 1.5  # alone, so much slower than the best that no noise explains it
FINALISTS = 4
_SLOWER_ALONE = "slower when screened alone"
MEMORY_SHARE = 0.5  # of what is free, for all processes that race at once


@dataclass(frozen=True)
class Standing:
    """How far one entry came.

    status  `final` (its times are those of the final race), `dropped` (slower, or not reached: see `reason`),
            `failed` (the engine's words are the reason)
    lap     its last measurement
    """

    lap: Lap
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Ranking:
    """All entries in the order given with how far each came, and the final race between the best.

    finalists  indices of the entries that raced, in the order of `final.laps`; empty when all failed
    """

    standings: tuple[Standing, ...]
    final: RaceResult | None
    finalists: tuple[int, ...]
    seconds_spent: float

    @property
    def best(self) -> int | None:
        """Index of the fastest entry of the final; None when nothing could be run."""
        winner = self.final.fastest() if self.final else None
        return None if winner is None else self.finalists[winner]


def rank(
    entries: Sequence[Entry],
    inputs: Arrays,
    *,
    budget_seconds: float,
    keep: Collection[int] = (),
    finalists: int = FINALISTS,
    progress: Progress | None = None,
    timeout: float = 600.0,
) -> Ranking:
    """Successive halving (Jamieson and Talwalkar 2016) with all survivors measured together at the end.

    Entries are screened backend by backend in turn, in the order given, so put the likely ones first: when the
    screening's share of the budget is used up, the rest is dropped with that reason. `keep` are indices that are
    always screened and go into the final unless they fail (the defaults a baseline is chosen from). At least one
    entry is screened.
    """
    progress = progress or SilentProgress()
    started = time.monotonic()
    standings = _screen(entries, inputs, started + SCREENING_SHARE * budget_seconds, frozenset(keep), progress, timeout)
    alive = _by_speed(standings, [i for i, s in enumerate(standings) if s.status == "final"])
    best = _speed(standings[alive[0]]) if alive else 0.0
    room = max(2, _room([standings[i].lap for i in alive]) - 1)  # one process is the twin's

    def cut(survivors: Sequence[int], why: str) -> list[int]:
        for index in set(alive) - set(survivors):
            standings[index] = replace(standings[index], status="dropped", reason=why)
        return [i for i in alive if i in set(survivors)]

    alive = cut([i for i in alive if i in keep or _speed(standings[i]) <= HOPELESS * best], _SLOWER_ALONE)
    while len(alive) > max(finalists, len(set(keep) & set(alive)), 2):
        contenders = _first(alive, keep, room)
        alive = cut(contenders, _SLOWER_ALONE)
        with progress.stage(f"halving {len(alive)} candidates"):
            halved = race(
                [entries[i] for i in alive],
                inputs,
                budget_seconds=HALVING_SHARE * budget_seconds / 2,
                twin_of=None,
                timeout=timeout,
                least_rounds=HALVING_ROUNDS,
            )
        for index, lap in zip(alive, halved.laps):
            standings[index] = Standing(lap, "failed" if lap.failed else "final", lap.error)
        alive = _by_speed(standings, [i for i in alive if standings[i].status == "final"])
        alive = cut(_first(alive, keep, max(finalists, len(alive) // 2)), "slower in a race of the remaining")
    alive = cut(_first(alive, keep, room), _SLOWER_ALONE)
    if not alive:
        return Ranking(tuple(standings), None, (), time.monotonic() - started)
    left = max(budget_seconds - (time.monotonic() - started), budget_seconds * 0.2)
    final = race([entries[i] for i in alive], inputs, budget_seconds=left, progress=progress, timeout=timeout)
    for index, lap in zip(alive, final.laps):
        standings[index] = Standing(lap, "failed" if lap.failed else "final", lap.error)
    return Ranking(tuple(standings), final, tuple(alive), time.monotonic() - started)


def _screen(
    entries: Sequence[Entry],
    inputs: Arrays,
    deadline: float,
    keep: frozenset[int],
    progress: Progress,
    timeout: float,
) -> list[Standing]:
    """Load and time every entry alone; nothing races yet, so only gross differences count."""
    too_late = "the budget for screening was used up before its turn"
    standings = [Standing(Lap(entry), "dropped", too_late) for entry in entries]
    reached = False
    for index in _screening_order(entries, keep):
        entry = entries[index]
        if reached and time.monotonic() > deadline and index not in keep:
            continue
        competitor = Competitor(entry, timeout)
        with progress.stage(f"screening {entry.name}"), contextlib.closing(competitor):
            competitor.guarded(_starting(competitor, inputs))
            competitor.guarded(competitor.warm_up)
            for _ in range(SCREENING_TURNS):
                time.sleep(0.0 if competitor.error else PAUSE_SECONDS)
                competitor.guarded(competitor.turn)
            competitor.guarded(competitor.finish)
        lap = competitor.lap()
        reached = reached or not lap.failed
        standings[index] = Standing(lap, "failed" if lap.failed else "final", lap.error)
    return standings


def _screening_order(entries: Sequence[Entry], keep: frozenset[int]) -> list[int]:
    """The kept ones, then one of each backend in turn, so that a short budget leaves none out."""
    place: dict[str, int] = {}
    turns: list[tuple[int, int]] = []
    for index, entry in enumerate(entries):
        backend = entry.candidate.backend
        place[backend] = place.get(backend, 0) + 1
        turns.append((0 if index in keep else place[backend], index))
    return [index for _, index in sorted(turns)]


def _starting(competitor: Competitor, inputs: Arrays) -> Callable[[], None]:
    return lambda: competitor.start(inputs)


def _speed(standing: Standing) -> float:
    """Seconds of the best turn: candidates alone meet different moments of a shared machine."""
    return min(standing.lap.medians, default=float("inf"))


def _by_speed(standings: Sequence[Standing], indices: Sequence[int]) -> list[int]:
    return sorted(indices, key=lambda i: _speed(standings[i]))


def _first(alive: Sequence[int], keep: Collection[int], count: int) -> list[int]:
    """The `count` fastest, the kept ones among them whatever their place."""
    kept = [i for i in alive if i in keep]
    others = [i for i in alive if i not in keep]
    return [*kept, *others[: max(0, count - len(kept))]]


def _room(laps: Sequence[Lap]) -> int:
    """How many processes of this size may live at once."""
    largest = max((lap.peak_bytes or 0 for lap in laps), default=0)
    return int(psutil.virtual_memory().available * MEMORY_SHARE // largest) if largest else 8
