"""Winograd's convolution with weights as they are, transformed while the program runs, and the transforms' code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rooftune.compiler.emit.linear import multiply
from rooftune.compiler.emit.toom_cook import POINTS, matrices
from rooftune.compiler.emit.work import begin
from rooftune.compiler.kernels.winograd import Winograd
from rooftune.compiler.machine_code import emit_assembly
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Activation
from rooftune.compiler.program import Program
from rooftune.compiler.target import Target, target_for
from rooftune.compiler.tune import Tuner

from .running import TARGETS, apply_kernel, lowered, program, run
from .test_convolutions import Shape, all_schedules, check, reference, tolerance

WIDEST = next(iter(TARGETS.values()))


def raw_schedules(shape: Shape, target: Target) -> list[Winograd]:
    return [s for s in all_schedules(shape, target) if isinstance(s, Winograd) and s.raw]


def crowded(target: Target) -> Target:
    """Caches so small that weights are transformed a block of input channels at a time."""
    return replace(target, l2=1 << 10)


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize(
    "shape",
    [
        Shape(channels=37, out=40, height=7, width=9, images=2, residual=True, activation=Activation("relu")),
        Shape(channels=3, out=16, height=6, width=6, pads=(0, 2, 1, 0), bias=False),
        Shape(channels=64, out=48, height=5, width=4, activation=Activation("clip", -0.5, 0.7)),
    ],
    ids=["odd channels", "image", "several groups"],
)
def test_weights_are_transformed_a_few_channels_at_a_time(shape: Shape, isa: str) -> None:
    target = crowded(TARGETS[isa])
    found = [s for s in raw_schedules(shape, target) if s.tile == 4]
    assert {s.together for s in found} == {False, True}
    for schedule in found:
        for threads in (1, 2):
            assert check(shape, target, schedule, threads) <= tolerance(schedule), schedule
        # many threads share what few transform each for itself
        assert check(shape, replace(target, threads=8), schedule, 3) <= tolerance(schedule), schedule


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    return Shape(
        images=draw(st.integers(1, 3)),
        channels=draw(st.integers(1, 70)),
        out=draw(st.integers(1, 70)),
        height=draw(st.integers(3, 15)),
        width=draw(st.integers(3, 15)),
        pads=pads,  # type: ignore[arg-type]
        residual=draw(st.booleans()),
        activation=Activation(draw(st.sampled_from(["", "relu", "leaky"])), 0.1),
        bias=draw(st.booleans()),
    )


@given(shapes(), st.sampled_from(list(TARGETS)), st.integers(10, 20), st.integers(0, 50), st.sampled_from([1, 2, 5]))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_random_raw_convolutions(shape: Shape, isa: str, cache: int, pick: int, threads: int) -> None:
    target = replace(TARGETS[isa], l2=1 << cache, threads=threads)
    found = raw_schedules(shape, target)
    schedule = found[pick % len(found)]
    assert check(shape, target, schedule, threads, seed=pick) <= tolerance(schedule), (shape, schedule)


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize(
    "shape",
    [
        Shape(channels=29, out=58, height=5, width=6),
        Shape(channels=3, out=48, height=8, width=8),
        Shape(channels=40, out=24, kernel=(1, 5), pads=(0, 2, 0, 2)),
        Shape(channels=40, out=40, groups=40),
    ],
    ids=["odd channels", "image", "no Winograd", "depthwise"],
)
def test_sizes_of_weights_are_known_before_they_are_made(shape: Shape, isa: str) -> None:
    target, op, arrays = TARGETS[isa], shape.operation(), shape.arrays(0)
    x = Map(shape.images, shape.channels, shape.height, shape.width, min(shape.channels, target.lanes))
    y = Map(*shape.result, target.lanes)
    for schedule in all_schedules(shape, target):
        made = schedule.weights(op, arrays["w"], arrays["b"], x, y)
        assert schedule.weight_floats(op, x, y) == sum(part.size for part in made.values()), schedule


def test_raw_weights_are_as_large_as_the_model_s() -> None:
    shape = Shape(channels=64, out=48)
    x, y = (Map(1, c, 8, 8, WIDEST.lanes) for c in (64, 48))
    for schedule in raw_schedules(shape, WIDEST):
        assert schedule.weight_floats(shape.operation(), x, y) == 64 * 48 * 9 + 48


@pytest.mark.parametrize("size", [7, 14, 56, 224])
@pytest.mark.parametrize("channels", [16, 64, 512])
def test_every_layer_has_a_raw_form(channels: int, size: int) -> None:
    shape = Shape(channels=channels, out=channels, height=size, width=size)
    found = raw_schedules(shape, WIDEST)
    assert {s.tile for s in found} == set(POINTS)
    # what all threads share is never larger than the smaller of all data and all transformed weights, or a part of
    # the last cache
    for schedule in found:
        points = 4 * (schedule.tile + 2) ** 2
        tiles = (-(-size // schedule.tile)) ** 2
        data, weights = points * channels * tiles, points * channels**2
        assert (data if schedule.together else weights) <= max(min(data, weights), WIDEST.l3 // 4)


def error(shape: Shape, schedule: Winograd) -> float:
    """Root mean square error over that of the result."""
    arrays = shape.arrays(3)
    constants = {name: arrays[name] for name in ("w", "b")}
    work = lowered([shape.operation()], {"x": arrays["x"].shape, "y": shape.result}, constants, ["x"], "y")
    found, expected = run(program(work, WIDEST, schedule), {"x": arrays["x"]}), reference(shape, arrays)
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize("tile", [2, 4])
def test_transforming_weights_in_fp32_costs_no_accuracy(tile: int) -> None:
    shape = Shape(channels=128, out=16, height=12, width=12, bias=False)
    found = [s for s in all_schedules(shape, WIDEST) if isinstance(s, Winograd) and s.tile == tile]
    packed = [error(shape, s) for s in found if not s.raw]
    raw = [error(shape, s) for s in found if s.raw]
    assert max(raw) <= 1.2 * min(packed)
    assert max(packed) <= {2: 6e-7, 4: 1.8e-6}[tile]


def product_code(matrix: NDArray[np.float64], target: Target) -> tuple[str, NDArray[np.float32]]:
    """The code of a matrix times vectors, and what it gives for random ones; vectors are rows here."""
    code, at = begin("test", ["x", "y"], target)
    lanes = target.lanes
    rows = multiply(code, matrix, [code.load(at["x"], j * lanes) for j in range(matrix.shape[1])])
    for i, row in enumerate(rows):
        code.store(row, at["y"], i * lanes)
    y = np.empty((matrix.shape[0], lanes), np.float32)
    x = vectors(matrix.shape[1], lanes)
    apply_kernel(code, target, x, y)
    return code.finished(), y


def vectors(count: int, lanes: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).standard_normal((count, lanes)).astype(np.float32)


@pytest.mark.parametrize("isa", list(TARGETS))
@pytest.mark.parametrize("tile", list(POINTS))
def test_code_of_transforms_is_their_matrix(tile: int, isa: str) -> None:
    for matrix in matrices(tile):
        _, found = product_code(matrix, TARGETS[isa])
        expected = matrix @ vectors(matrix.shape[1], TARGETS[isa].lanes)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(matrix).sum(1).max())


ENTRIES = st.sampled_from([0.0, 1.0, -1.0, 0.5, -2.0, 3.25])


@given(st.lists(st.lists(ENTRIES, min_size=3, max_size=3).filter(any), min_size=1, max_size=5), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_rows_that_differ_in_signs_share_their_work(rows: list[list[float]], signs: int) -> None:
    mirrored = [-entry if signs >> i & 1 else entry for i, entry in enumerate(rows[0])]
    matrix = np.array([*rows, mirrored])
    _, found = product_code(matrix, WIDEST)
    np.testing.assert_allclose(found, matrix @ vectors(3, WIDEST.lanes), rtol=1e-5, atol=1e-5)


def test_two_mirrored_points_cost_three_multiply_adds() -> None:
    _, weight, _ = matrices(4)
    text, _ = product_code(weight, WIDEST)
    assert text.count("call") == 6
    assert not any(word in text for word in ("fadd", "fsub", "fmul"))


def test_arm_processors_are_asked_for_weights_ahead() -> None:
    target = target_for("neon")
    shape = Shape(channels=16, out=16)
    arrays = shape.arrays(0)
    work = lowered(
        [shape.operation()], {"x": arrays["x"].shape, "y": shape.result}, {n: arrays[n] for n in "wb"}, ["x"], "y"
    )
    for schedule in (s for s in raw_schedules(shape, target) if s.tile == 2):
        made = program(work, target, schedule)
        assembly = emit_assembly(made.text(made.pack()[1]), "aarch64-unknown-linux-gnu", target.features)
        assert "prfm\tpldl2keep" in assembly


@pytest.mark.parametrize("together", [False, True])
def test_few_threads_share_nothing_and_many_do(together: bool) -> None:
    shape = Shape(channels=16, out=16)
    arrays = shape.arrays(0)
    constants = {name: arrays[name] for name in ("w", "b")}
    work = lowered([shape.operation()], {"x": arrays["x"].shape, "y": shape.result}, constants, ["x"], "y")
    phases = {}
    for threads, l3 in ((2, WIDEST.l3), (8, WIDEST.l3), (2, 1 << 10)):
        target = replace(WIDEST, threads=threads, l3=l3)
        schedule = next(s for s in raw_schedules(shape, WIDEST) if s.together == together)
        step = next(s for s in program(work, target, schedule).steps if "conv" in s.nodes)
        phases[threads, l3] = len(step.phases)
    # in common: a phase that all wait for; also where copies for every thread would crowd the last cache
    assert list(phases.values()) == [1, 2, 2]


class Forgetful:
    """A store that keeps nothing."""

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, value: object) -> None:
        return None


def test_raw_weights_are_timed_beside_packed_ones() -> None:
    timed: list[Winograd] = []

    def timer(programs: Sequence[Program], node: str) -> list[float]:
        schedules = [step.schedule for made in programs for step in made.steps if node in step.nodes]
        timed.extend(s for s in schedules if isinstance(s, Winograd))
        return [1.0 + number for number in range(len(programs))]

    shape = Shape(channels=64, out=64, height=14, width=14)
    tuner = Tuner(timer, Forgetful(), "here", lambda: 0.0, 1.0)
    x, y = (Map(1, 64, 14, 14, WIDEST.lanes) for _ in range(2))
    ranked = tuner(shape.operation(), x, y, WIDEST)
    assert {(s.tile, s.raw) for s in timed} == {(2, False), (2, True), (4, False), (4, True)}
    assert len(timed) <= 8
    assert set(timed) <= {r.schedule for r in ranked}
