"""The clock and the memory of the compiler's choices."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rooftune.compiler.choose import guesses, said
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.operations import Convolution
from rooftune.compiler.program import Program, build
from rooftune.compiler.rivals import better_of, second_choices
from rooftune.compiler.target import Target
from rooftune.compiler.tune import COMPILER, Tuner
from rooftune.execute.code_store import CodeStore
from rooftune.execute.database import Database
from rooftune.execute.native_program import NativeProgram, step_seconds
from rooftune.execute.probe.stored import home
from rooftune.machine.topology import read_topology

__all__ = ["TuningStore", "phase_seconds", "tuned_program", "tuner_for", "undisturbed"]

_ROUNDS = 9
_LEAST_SECONDS = 2e-3
_MOST_COPIES = 64
_RACE_SHARE = 0.2
"""Of the time for measuring, what is kept for the race inside the whole program."""


class TuningStore:
    """Measurements by key, in a file; a store that cannot be opened forgets."""

    def __init__(self, path: Path | None = None) -> None:
        table = "CREATE TABLE IF NOT EXISTS measured (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
        self._database = Database(path or home() / "tuning.sqlite", table)

    def get(self, key: str) -> Any | None:
        with contextlib.suppress(sqlite3.Error, OSError, ValueError), self._database.opened() as database:
            row = database.execute("SELECT value FROM measured WHERE key = ?", (key,)).fetchone()
            return None if row is None else json.loads(row[0])
        return None

    def put(self, key: str, value: Any) -> None:
        with contextlib.suppress(sqlite3.Error, OSError), self._database.opened() as database:
            database.execute("INSERT OR REPLACE INTO measured VALUES (?, ?)", (key, json.dumps(value)))


def tuner_for(target: Target, seconds: float) -> Tuner:
    """A tuner with this computer's clock and store; with no seconds to spend it takes what is known, and guesses."""

    def timer(programs: Sequence[Program], node: str) -> Sequence[float]:
        return phase_seconds(programs, node, target)

    return Tuner(timer, TuningStore(), read_topology().name, time.monotonic, seconds)


def tuned_program(lowered: Lowered, target: Target, tuner: Tuner, *, winograd: bool = True) -> Program:
    """The program with schedules measured alone, and the best two of each raced inside the whole of it.

    What was chosen is remembered with the shapes of the whole model, and taken from there if every schedule had been
    measured, or nobody gives more time than was given then; otherwise measuring goes on where it was cut short. Without
    any time left the best alone are taken.
    """
    given = tuner.left
    key = _whole_key(lowered, target, tuner, winograd)
    kept = _remembered(tuner.store.get(key), lowered, target, tuner, winograd)
    if kept is not None:
        return kept
    reserve = _RACE_SHARE * max(tuner.left, 0.0)
    tuner.left -= reserve
    tuner.cut_short = False
    first = build(lowered, target, winograd=winograd, choose=tuner)
    tuner.left += reserve
    rivals = second_choices(first)
    chosen = {step.value: step.schedule for step in first.steps if step.schedule is not None}
    tuner.cut_short |= bool(rivals) and tuner.left <= 0
    if rivals and tuner.left > 0:
        started = tuner.clock()
        second = build(lowered, target, winograd=winograd, choose=guesses, fixed=chosen | rivals)
        seconds = _step_seconds(first, second, target, tuner)
        chosen = chosen if seconds is None else better_of(first, second, seconds)
        tuner.left -= tuner.clock() - started
    told = [said(chosen[step.value]) for step in first.steps if step.value]
    if given > 0:
        tuner.store.put(key, {"chosen": told, "complete": not tuner.cut_short, "given_seconds": given})
    if all(step.schedule == chosen[step.value] for step in first.steps if step.value):
        return first
    tuner.left, left = 0.0, tuner.left
    found = build(lowered, target, winograd=winograd, choose=tuner, fixed=chosen)
    tuner.left = left
    return found


def _remembered(known: Any, lowered: Lowered, target: Target, tuner: Tuner, winograd: bool) -> Program | None:
    """The program with the schedules that a store tells; None where it does not tell all, or nobody can read it."""
    if not isinstance(known, dict):
        return None
    told, given = known.get("chosen"), known.get("given_seconds")
    enough = known.get("complete") or tuner.left <= (given if isinstance(given, int | float) else 0.0)
    if not enough or not isinstance(told, list):
        return None
    tuner.left, left = 0.0, tuner.left
    try:
        first = build(lowered, target, winograd=winograd, choose=tuner)
        names = {said(r.schedule): r.schedule for step in first.steps for r in step.others}
        values = [step.value for step in first.steps if step.value]
        if len(told) != len(values) or not all(isinstance(text, str) and text in names for text in told):
            return None
        wanted = {value: names[text] for value, text in zip(values, told, strict=True)}
        return build(lowered, target, winograd=winograd, choose=tuner, fixed=wanted)
    finally:
        tuner.left = left


def _whole_key(lowered: Lowered, target: Target, tuner: Tuner, winograd: bool) -> str:
    """The operations of a whole model with their shapes, whatever its values are called."""
    numbers: dict[str, int] = {}
    parts = []
    for op in lowered.operations:
        places = [numbers.setdefault(name, len(numbers)) for name in (*op.reads, op.y)]
        parts.append([type(op).__name__, places, tuner.shape(op) if isinstance(op, Convolution) else None])
    sizes = [lowered.dims[name] if name in lowered.integers else lowered.shapes[name] for name in numbers]
    told = json.dumps([tuner.machine, target.threads, target.isa, COMPILER, winograd, parts, sizes])
    return "whole " + hashlib.sha256(told.encode()).hexdigest()


def _step_seconds(
    first: Program, second: Program, target: Target, tuner: Tuner
) -> tuple[list[float], list[float]] | None:
    """Seconds of the steps of two programs that run in turns; None where compiling one took so long that there
    is no time for the other."""
    loaded: list[NativeProgram] = []
    store, started = CodeStore(), tuner.clock()
    try:
        loaded.append(NativeProgram(first, store=store))
        # whoever asked for the first needs its code anyway: compiled now, it is there then
        if tuner.clock() - started > tuner.left:
            tuner.cut_short = True
            return None
        loaded.append(NativeProgram(second, store=store))
        random = np.random.default_rng(0)
        feed = _feed(first, random)
        rounds: tuple[list[list[float]], list[list[float]]] = ([], [])
        for turn in range(_ROUNDS + 2):
            for native, kept in zip(loaded, rounds, strict=True):
                started = time.perf_counter()
                native.run(feed)
                took = time.perf_counter() - started
                if turn >= 2:
                    kept.append([share * took for share in native.phase_shares()])
        return step_seconds(first, rounds[0], undisturbed), step_seconds(second, rounds[1], undisturbed)
    finally:
        for native in loaded:
            native.close()


def _feed(program: Program, random: np.random.Generator) -> dict[str, Any]:
    """Random numbers for every input; where it takes integers zeros, which every table has a row for."""
    return {
        name: np.zeros(program.dims[name], program.dtype(name))
        if name in program.integers
        else random.standard_normal(program.dims[name], dtype=np.float32)
        for name in program.inputs
    }


def phase_seconds(programs: Sequence[Program], node: str, target: Target) -> list[float]:
    """Seconds of the steps of a node in each program: in turns, and with weights no cache holds any more."""
    loaded: list[NativeProgram] = []
    try:
        for program in programs:
            size = 4 * sum(part().size for part in program.weights.values())
            copies = min(_MOST_COPIES, max(1, -(-3 * target.l3 // (2 * max(1, size)))))
            loaded.append(NativeProgram(program, copies=copies))
        random = np.random.default_rng(0)
        feeds = [_feed(program, random) for program in programs]
        found: list[list[float]] = [[] for _ in programs]
        for _ in range(_ROUNDS + 1):
            for place, (native, feed) in enumerate(zip(loaded, feeds, strict=True)):
                found[place].append(_turn(native, feed, node))
        return [undisturbed(times[1:]) for times in found]
    finally:
        for native in loaded:
            native.close()


def undisturbed(times: Iterable[float]) -> float:
    """The second best of five, or the like: where a computer gives two threads the time of one for a while, which
    doubles what they take, a median tells of either state by chance, and the best alone may be luck."""
    ordered = sorted(times)
    return ordered[len(ordered) // 5]


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
