"""From windows of a fraction of a millisecond to one number with its variation.

Work can only take longer than it needs, never less: what else runs on a shared computer makes some windows slow and
leaves others alone. So a sample is a run of many windows of which the quickest count, and the result is the median
of the calmer samples. Samples of everything that is measured are taken in turns, spread over the whole probe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rooftune.execute.probe.threads import Step, Team

__all__ = [
    "WINDOW_SECONDS",
    "Meter",
    "Result",
    "Sample",
    "calibrate",
    "combine",
    "quickest",
    "sample_in_turns",
    "wall_seconds",
]

_Key = TypeVar("_Key")

WINDOW_SECONDS = 2e-4
"""Long against the 50 ns of reading the clock, short against a scheduler's slice and a change of the frequency."""

QUIET = 0.02
"""Coefficient of variation above which sampling goes on while there is time."""

_MOST_TURNS = 1 << 40


@dataclass(frozen=True)
class Sample:
    """One run of windows: the rate reached, the rate the clock allows (if a table says), the time of its windows."""

    rate: float
    allowed: float | None
    seconds: float
    clock_hz: float | None = None


@dataclass(frozen=True)
class Result:
    """A measured rate, the one the clock allowed at the same time, and the samples' coefficient of variation.

    One sample alone says nothing about that: its variation is None.
    """

    rate: float
    allowed: float | None
    variation: float | None
    clock_hz: float | None = None


class Meter(Protocol):
    """Something that can be sampled again and again."""

    def sample(self, windows: int) -> Sample: ...


def wall_seconds(stamps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Time of each step from the first thread's begin to the last one's end."""
    return np.asarray((stamps[:, :, 1].max(0) - stamps[:, :, 0].min(0)) / 1e9, np.float64)


def quickest(seconds: NDArray[np.float64], share: int = 20) -> NDArray[np.float64]:
    """Time of an undisturbed window: the median of the quickest twentieth, at least of two, along the last axis."""
    count = min(seconds.shape[-1], max(2, seconds.shape[-1] // share))
    return np.asarray(np.median(np.sort(seconds, axis=-1)[..., :count], axis=-1))


def combine(samples: Sequence[Sample]) -> Result:
    """The median of the calmest third of the samples, with the variation of all of them."""
    calm = sorted(samples, key=lambda sample: sample.seconds)[: max(1, (len(samples) + 2) // 3)]
    rates = np.array([sample.rate for sample in samples])
    allowed = [sample.allowed for sample in calm if sample.allowed is not None]
    clocks = [sample.clock_hz for sample in calm if sample.clock_hz is not None]
    return Result(
        rate=float(np.median([sample.rate for sample in calm])),
        allowed=float(np.median(allowed)) if allowed else None,
        variation=float(rates.std() / rates.mean()) if len(rates) > 1 else None,
        clock_hz=float(np.median(clocks)) if clocks else None,
    )


def sample_in_turns(
    meters: Mapping[_Key, Meter], windows: int, samples: int, deadline: float
) -> dict[_Key, list[Sample]]:
    """Sample all meters round by round, so that each is measured at different moments.

    Goes on to three times as many rounds while a result varies by more than `QUIET`; stops early, after one round,
    once `time.monotonic()` has passed the deadline.
    """
    taken: dict[_Key, list[Sample]] = {key: [] for key in meters}
    for turn in range(3 * samples):
        if turn and time.monotonic() > deadline:
            break
        if turn >= samples and all((combine(found).variation or 0.0) <= QUIET for found in taken.values()):
            break
        for key, meter in meters.items():
            taken[key].append(meter.sample(windows))
    return taken


def calibrate(team: Team, steps: Callable[[int], list[Step]], seconds: float = WINDOW_SECONDS) -> int:
    """Turns that take about so many seconds on every thread, at least one.

    steps   for a number of turns, one step per thread
    """
    turns = 1
    while True:
        # each thread's best of five: a disturbed run would make the windows short
        stamps = team.run([[step] * 5 for step in steps(turns)])
        taken = max(float((stamps[:, :, 1] - stamps[:, :, 0]).min(1).max()) / 1e9, 1e-9)
        if taken >= seconds / 4 or turns >= _MOST_TURNS:
            return max(1, round(turns * seconds / taken))
        turns = max(2 * turns, int(turns * min(seconds / 2 / taken, 1000)))
