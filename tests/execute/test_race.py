"""Races between real engines; that one is faster is never asserted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from onnx import TensorProto

from rooftune.execute.backend import Candidate, present_backends
from rooftune.execute.backends.onnxruntime import BACKEND
from rooftune.execute.competitor import Competitor, Entry
from rooftune.execute.inputs import random_inputs
from rooftune.execute.race import RaceResult, race
from rooftune.execute.rank import rank
from rooftune.execute.worker import Worker
from rooftune.protocols import Arrays

from . import models


@pytest.fixture()
def path(tmp_path: Path) -> Path:
    return models.convolutions(tmp_path / "model.onnx")


@pytest.fixture()
def inputs(path: Path) -> Arrays:
    with Worker(BACKEND.default(1), path) as worker:
        return random_inputs(worker.loaded.inputs)


def run(entries: list[Entry], inputs: Arrays, **options: object) -> RaceResult:
    return race(entries, inputs, budget_seconds=1.0, least_rounds=4, **options)  # type: ignore[arg-type]


def test_everybody_present_races_and_a_stranger_fails_alone(path: Path, inputs: Arrays, tmp_path: Path) -> None:
    stranger = models.strangers(tmp_path / "stranger.onnx")
    entries = [Entry(b.default(1), path) for b in present_backends()[0].values()]
    entries.insert(1, Entry(BACKEND.default(1), stranger))
    result = run(entries, inputs)
    assert [lap.entry for lap in result.laps] == entries
    assert "Frobnicate" in result.laps[1].error and result.laps[1].seconds is None
    for index in (0, *range(2, len(entries))):
        lap = result.laps[index]
        assert len(lap.medians) == result.rounds >= 4 and lap.runs >= 5 * result.rounds
        assert lap.seconds is not None and 0 < lap.seconds.low <= lap.seconds.median <= lap.seconds.high
        assert lap.load_seconds and lap.peak_bytes and lap.version and len(lap.cpus) == 1
    assert result.twin is not None and result.twin.count == result.rounds
    assert result.settled == result.twin.within(0.98, 1.02)
    assert result.fastest() in {0, *range(2, len(entries))} and result.fastest([1]) is None
    with pytest.raises(ValueError, match="did not finish"):
        result.ratio(0, 1)


def test_a_ratio_is_paired_and_turns_round(path: Path, inputs: Arrays) -> None:
    entries = [Entry(BACKEND.default(1), path), Entry(BACKEND.space(1)[1], path)]
    result = run(entries, inputs, twin_of=None)
    assert result.twin is None and not result.settled
    there, back = result.ratio(0, 1), result.ratio(1, 0)
    assert there.count == result.rounds
    assert there.low <= there.median <= there.high
    assert back.low <= 1 / there.median * 1.5 and back.high >= 1 / there.median / 1.5
    assert result.ratio(0, 0).median == 1.0


def test_a_crash_in_the_middle_ends_one_entry_only(path: Path, inputs: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second engine's process is killed before its third turn."""
    victim = Entry(BACKEND.space(1)[1], path)
    turn = Competitor.turn

    def fatal(self: Competitor) -> None:
        if self.entry == victim and len(self.medians) == 2:
            assert self.worker is not None
            os.kill(self.worker.status()["pid"], signal.SIGABRT)
        turn(self)

    monkeypatch.setattr(Competitor, "turn", fatal)
    result = run([Entry(BACKEND.default(1), path), victim], inputs)
    assert "SIGABRT" in result.laps[1].error and len(result.laps[1].medians) == 2
    assert len(result.laps[0].medians) == result.rounds and not result.laps[0].failed


def test_nobody_can_run(tmp_path: Path) -> None:
    entry = Entry(BACKEND.default(1), models.strangers(tmp_path / "model.onnx"))
    result = run([entry], {})
    assert result.rounds == 0 and result.fastest() is None and not result.settled
    ranking = rank([entry], {}, budget_seconds=1.0)
    assert ranking.best is None and ranking.final is None and ranking.standings[0].status == "failed"


def test_several_requests_in_flight_give_one_number_a_turn(path: Path, inputs: Arrays) -> None:
    for backend in present_backends()[0].values():
        candidate = Candidate(backend.name, backend.default(1).settings, 1, concurrency=3)
        with Worker(candidate, path) as worker:
            worker.feed(inputs)
            seconds = worker.time(9)
        assert len(seconds) == 1 and seconds[0] > 0


def test_ranking_keeps_every_entry_with_its_fate(path: Path, inputs: Arrays, tmp_path: Path) -> None:
    entries = [Entry(c, path) for b in present_backends()[0].values() for c in b.space(2)]
    entries.append(Entry(BACKEND.default(2), models.sums(tmp_path / "other.onnx", TensorProto.FLOAT)))
    ranking = rank(entries, inputs, budget_seconds=5.0, keep=[0, len(entries) - 1], finalists=2)
    assert len(ranking.standings) == len(entries)
    assert ranking.standings[-1].status == "failed" and ranking.standings[-1].reason
    assert ranking.final is not None and ranking.best in ranking.finalists and 0 in ranking.finalists
    assert len(ranking.finalists) <= 2
    for index, standing in enumerate(ranking.standings):
        assert standing.status in ("final", "dropped", "failed")
        assert (standing.status == "final") == (index in ranking.finalists)
        assert standing.lap.entry == entries[index]
        assert standing.reason or standing.status == "final"


def test_a_short_budget_reaches_every_backend(path: Path, inputs: Arrays) -> None:
    entries = [Entry(c, path) for b in present_backends()[0].values() for c in b.space(2)]
    ranking = rank(entries, inputs, budget_seconds=0.01)
    dropped = [s for s in ranking.standings if s.status == "dropped" and not s.lap.medians]
    assert dropped and all("budget" in s.reason for s in dropped)
    assert ranking.best is not None
