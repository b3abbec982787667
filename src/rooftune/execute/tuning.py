"""The clock and the memory of the compiler's choices."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rooftune.compiler.program import Program
from rooftune.compiler.target import Target
from rooftune.compiler.tune import Tuner
from rooftune.execute.native_program import NativeProgram
from rooftune.execute.probe.stored import home
from rooftune.machine.topology import read_topology

__all__ = ["TuningStore", "phase_seconds", "tuner_for"]

_ROUNDS = 7
_LEAST_SECONDS = 2e-3
_MOST_COPIES = 64
_WAIT_SECONDS = 10.0


class TuningStore:
    """Measurements by key, in a database file that several processes may use; a store that cannot be opened forgets."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or home() / "tuning.sqlite"
        self._made = False

    def get(self, key: str) -> Any | None:
        with contextlib.suppress(sqlite3.Error, OSError, ValueError), self._open() as database:
            row = database.execute("SELECT value FROM measured WHERE key = ?", (key,)).fetchone()
            return None if row is None else json.loads(row[0])
        return None

    def put(self, key: str, value: Any) -> None:
        with contextlib.suppress(sqlite3.Error, OSError), self._open() as database:
            database.execute("INSERT OR REPLACE INTO measured VALUES (?, ?)", (key, json.dumps(value)))

    @contextlib.contextmanager
    def _open(self) -> Any:
        if not self._made:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            if not self._made:
                database.execute("CREATE TABLE IF NOT EXISTS measured (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
                self._made = True
            with database:
                yield database
        finally:
            database.close()


def tuner_for(target: Target, seconds: float) -> Tuner:
    """A tuner with this computer's clock and store; with no seconds to spend it takes what is known, and guesses."""

    def timer(programs: Sequence[Program], node: str) -> Sequence[float]:
        return phase_seconds(programs, node, target)

    return Tuner(timer, TuningStore(), read_topology().name, time.monotonic, seconds)


def phase_seconds(programs: Sequence[Program], node: str, target: Target) -> list[float]:
    """Median seconds of the steps of a node in each program: in turns, and with weights no cache holds any more."""
    loaded: list[NativeProgram] = []
    try:
        for program in programs:
            size = 4 * sum(part().size for part in program.weights.values())
            copies = min(_MOST_COPIES, max(1, -(-3 * target.l3 // (2 * max(1, size)))))
            loaded.append(NativeProgram(program, target.threads, copies=copies))
        random = np.random.default_rng(0)
        feeds = [{name: random.standard_normal(p.dims[name], dtype=np.float32) for name in p.inputs} for p in programs]
        found: list[list[float]] = [[] for _ in programs]
        for _ in range(_ROUNDS + 1):
            for place, (native, feed) in enumerate(zip(loaded, feeds, strict=True)):
                found[place].append(_turn(native, feed, node))
        return [statistics.median(times[1:]) for times in found]
    finally:
        for native in loaded:
            native.close()


def _turn(native: NativeProgram, feed: dict[str, Any], node: str) -> float:
    """The best of a few runs: what disturbs only ever adds."""
    places = [i for i, (step, _) in enumerate(native.program.phases) if node in step.nodes]
    best, spent = float("inf"), 0.0
    for _ in range(50):
        started = time.perf_counter()
        native.run(feed)
        took = time.perf_counter() - started
        shares = native.phase_shares()
        best = min(best, took * sum(shares[i] for i in places))
        spent += took
        if spent >= _LEAST_SECONDS:
            break
    return best
