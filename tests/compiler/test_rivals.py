"""The best two schedules of every convolution, raced inside the whole program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rooftune.compiler.choose import said
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.operations import Activation, Convolution
from rooftune.compiler.program import Program, build
from rooftune.compiler.rivals import better_of, second_choices
from rooftune.compiler.target import Target, host_target
from rooftune.compiler.tune import Tuner
from rooftune.execute.native_program import NativeProgram
from rooftune.execute.tuning import tuned_program

from .running import lowered

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


class Remembering:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def put(self, key: str, value: Any) -> None:
        self.kept[key] = value


def model() -> Lowered:
    """Two convolutions of 32 channels, one after the other."""
    relu = Activation("relu")
    made = [
        Convolution((y,), x, y, f"w{y}", "", (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, activation=relu)
        for x, y in (("x", "a"), ("a", "b"))
    ]
    random = np.random.default_rng(0)
    weights = {f"w{y}": random.standard_normal((32, 32, 3, 3)).astype(np.float32) for y in "ab"}
    shape = (1, 32, 28, 28)
    return lowered(list(made), {"x": shape, "a": shape, "b": shape}, weights, ["x"], "b")


def target() -> Target:
    found = host_target()
    assert found is not None
    return found


def tuner(store: Remembering, left: float, calls: list[int]) -> Tuner:
    """Says that the first candidates are the fastest, by little."""

    def timer(programs: Sequence[Program], node: str) -> Sequence[float]:
        calls.append(len(programs))
        return [1e-4 * (1 + 0.01 * i) for i in range(len(programs))]

    return Tuner(timer, store, "here", lambda: 0.0, left)


def mixed() -> Lowered:
    """Two convolutions of different shapes."""
    found = model()
    found.operations[1] = replace(found.operations[1], activation=Activation())
    return found


def ticking(store: Remembering, left: float, calls: list[int]) -> Tuner:
    """A tuner that spends a second on every convolution."""
    found = tuner(store, left, calls)
    found.clock = lambda: float(len(calls))
    return found


def test_rivals_are_close_and_not_larger() -> None:
    program = build(model(), target(), choose=tuner(Remembering(), 1.0, []))
    rivals = second_choices(program)
    for step in (s for s in program.steps if s.value in rivals):
        chosen, rival = (
            next(r for r in step.others if r.schedule == schedule) for schedule in (step.schedule, rivals[step.value])
        )
        assert rival is not chosen and rival.floats <= chosen.floats and rival.seconds <= 1.3 * chosen.seconds
    other = build(model(), target(), choose=tuner(Remembering(), 1.0, []), fixed=rivals)
    assert {s.value: s.schedule for s in other.steps if s.value in rivals} == rivals


def test_the_clock_inside_the_program_decides() -> None:
    first = build(model(), target(), choose=tuner(Remembering(), 1.0, []))
    rivals = second_choices(first)
    assert rivals
    second = build(model(), target(), choose=tuner(Remembering(), 1.0, []), fixed=rivals)
    slow, fast = [1.0] * len(first.steps), [0.5] * len(second.steps)
    assert better_of(first, second, (slow, fast)) == {s.value: s.schedule for s in second.steps if s.value}
    assert better_of(first, second, (slow, slow)) == {s.value: s.schedule for s in first.steps if s.value}


def test_what_was_raced_is_remembered_and_right() -> None:
    store, calls = Remembering(), list[int]()
    first = tuned_program(model(), target(), tuner(store, 1.0, calls))
    assert calls and any(key.startswith("whole ") for key in store.kept)
    measured = len(calls)
    again = tuned_program(model(), target(), tuner(store, 0.0, calls))
    assert len(calls) == measured, "nothing is measured twice"
    assert [said(s.schedule) for s in again.steps if s.schedule] == [
        said(s.schedule) for s in first.steps if s.schedule
    ]
    feed = {"x": np.random.default_rng(1).standard_normal((1, 32, 28, 28)).astype(np.float32)}
    results = []
    for program in (first, build(model(), target(), winograd=False)):
        native = NativeProgram(program)
        results.append(native.run(feed)["b"])
        native.close()
    np.testing.assert_allclose(results[0], results[1], rtol=0, atol=1e-5 * float(np.abs(results[1]).max()))


def test_measuring_goes_on_where_it_was_cut_short_and_ends() -> None:
    store, calls = Remembering(), list[int]()
    tuned_program(mixed(), target(), ticking(store, 1.0, calls))
    assert len(calls) == 1, "each convolution takes all of the time"
    tuned_program(mixed(), target(), ticking(store, 1.0, calls))
    assert len(calls) == 1, "the same model is not measured again for as much time as it had"
    tuned_program(mixed(), target(), ticking(store, 2.0, calls))
    assert len(calls) == 2
    (whole,) = (value for key, value in store.kept.items() if key.startswith("whole "))
    assert whole["complete"]
    kept = dict(store.kept)
    tuned_program(mixed(), target(), ticking(store, 10.0, calls))
    assert len(calls) == 2 and store.kept == kept, "what is known completely is neither measured nor raced again"


def test_what_was_measured_serves_those_who_allow_less() -> None:
    store, calls = Remembering(), list[int]()
    build(model(), target(), choose=tuner(store, 1.0, calls))
    measured = len(calls)
    program = build(model(), target(), winograd=False, choose=tuner(store, 1.0, calls))
    assert len(calls) == measured and all(s.others[0].measured for s in program.steps if s.schedule)


def test_spoilt_memories_are_no_reason_to_fail() -> None:
    store = Remembering()
    tuned_program(model(), target(), tuner(store, 1.0, []))
    for spoilt in ({"chosen": ["nonsense"]}, {"chosen": 3}, [], {"chosen": [1, 2]}, None):
        for key in store.kept:
            if key.startswith("whole "):
                store.kept[key] = spoilt
        assert tuned_program(model(), target(), tuner(store, 0.0, [])).steps
