"""Who takes part in a race: a candidate on its model file, its process, and what it measured so far."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rooftune.execute.backend import Candidate
from rooftune.execute.statistics import Interval, median_interval
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.protocols import Arrays

__all__ = ["PAUSE_SECONDS", "Competitor", "Entry", "Lap"]

PAUSE_SECONDS = 0.05  # engines' workers spin for milliseconds after a run and would steal the next one's cores
TURN_SECONDS = 0.03
TURN_RUNS = 5


@dataclass(frozen=True)
class Entry:
    """What takes part: a candidate on the file of the model it runs (each may have a file of its own).

    variant  what was done to the model, in a word; "" for the original
    """

    candidate: Candidate
    model_path: Path
    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    variant: str = ""

    @property
    def name(self) -> str:
        return f"{self.candidate.name}, {self.variant}" if self.variant else self.candidate.name


@dataclass(frozen=True)
class Lap:
    """What one entry did: `seconds` per run over the rounds, or the engine's reason why there is none.

    medians       one number per round: the median of that turn (of wall seconds per run with several in flight)
    load_seconds  reading and compiling the model, the engine's import included
    peak_bytes    resident memory of its process at the end
    """

    entry: Entry
    medians: tuple[float, ...] = ()
    runs: int = 0
    load_seconds: float | None = None
    peak_bytes: int | None = None
    version: str = ""
    cpus: tuple[int, ...] = ()
    error: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def seconds(self) -> Interval | None:
        """Median seconds per run with its bootstrap interval; None when it failed."""
        return median_interval(self.medians) if self.medians and not self.failed else None


class Competitor:
    """One entry with its process, runs per turn, and what it measured so far."""

    def __init__(self, entry: Entry, timeout: float) -> None:
        self.entry = entry
        self.timeout = timeout
        self.worker: Worker | None = None
        self.medians: list[float] = []
        self.runs_per_turn = TURN_RUNS
        self.runs = 0
        self.peak_bytes: int | None = None
        self.error = ""

    def guarded(self, action: Callable[[], None]) -> None:
        """Do something with the engine; its failure ends this entry and nothing else."""
        if self.error:
            return
        try:
            action()
        except EngineFailure as failure:
            self.error = failure.reason
            if self.worker is not None:
                self.worker.close()

    def start(self, inputs: Arrays) -> None:
        self.worker = Worker(
            self.entry.candidate, self.entry.model_path, input_shapes=self.entry.input_shapes, timeout=self.timeout
        )
        self.worker.feed(inputs)

    def warm_up(self) -> None:
        """Run until caches, arenas and clocks are settled, and learn how many runs make a turn."""
        assert self.worker is not None
        self.worker.time(self.entry.candidate.concurrency)
        seconds = statistics.median(self.worker.time(max(2, self.entry.candidate.concurrency)))
        self.runs_per_turn = max(
            TURN_RUNS, 2 * self.entry.candidate.concurrency, math.ceil(TURN_SECONDS / max(seconds, 1e-7))
        )
        self.worker.time(self.runs_per_turn)

    def turn(self) -> None:
        assert self.worker is not None
        self.worker.time(1)  # the pause let caches and clocks go
        self.medians.append(statistics.median(self.worker.time(self.runs_per_turn)))
        self.runs += self.runs_per_turn

    def finish(self) -> None:
        assert self.worker is not None
        self.peak_bytes = int(self.worker.status()["peak_bytes"])

    def close(self) -> None:
        if self.worker is not None:
            self.worker.close()

    def lap(self) -> Lap:
        loaded = getattr(self.worker, "loaded", None)
        return Lap(
            self.entry,
            tuple(self.medians),
            self.runs,
            loaded.load_seconds if loaded else None,
            self.peak_bytes,
            loaded.version if loaded else "",
            self.worker.cpus if self.worker else (),
            self.error,
        )
