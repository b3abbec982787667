"""Pools, means, sums and matrix products against NumPy, on every vector width of this processor."""

from __future__ import annotations

import numpy as np
import pytest

from rooftune.compiler.operations import Activation, Dense, Pointwise, Pool, Route
from rooftune.compiler.target import Target

from .running import TARGETS, Floats, lowered, program, run


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def numbers(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def windows(x: Floats, op: Pool, fill: float) -> np.ndarray:
    """Every window of the padded map, as the last two axes."""
    top, left, bottom, right = op.pads
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, op.kernel, axis=(2, 3))
    return view[:, :, :: op.strides[0], :: op.strides[1]]


POOLS = {
    "2x2": Pool((), "x", "y", "max", (2, 2), (2, 2), (0, 0, 0, 0)),
    "3x3 with pads": Pool((), "x", "y", "max", (3, 3), (2, 2), (1, 1, 1, 1)),
    "unequal": Pool((), "x", "y", "max", (3, 2), (1, 2), (1, 0, 2, 1)),
    "mean": Pool((), "x", "y", "mean", (2, 2), (2, 2), (0, 0, 0, 0)),
    "mean with pads": Pool((), "x", "y", "mean", (3, 3), (1, 1), (1, 1, 1, 1)),
    "mean that counts pads": Pool((), "x", "y", "mean", (3, 3), (2, 2), (1, 1, 1, 1), counts_pads=True),
}


@pytest.mark.parametrize("name", list(POOLS))
@pytest.mark.parametrize("threads", [1, 2])
def test_pools(name: str, threads: int, target: Target) -> None:
    op, x = POOLS[name], numbers(2, 21, 9, 10)
    if op.kind == "max":
        expected = windows(x, op, -np.inf).max(axis=(-1, -2))
    else:
        count = windows(np.ones_like(x), op, 1.0 if op.counts_pads else 0.0).sum(axis=(-1, -2))
        expected = windows(x, op, 0.0).sum(axis=(-1, -2)) / count
    work = lowered([op], {"x": x.shape, "y": expected.shape}, {}, ["x"], "y")
    np.testing.assert_allclose(run(program(work, target, threads=threads), {"x": x}), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_windows_that_begin_before_the_map(kind: str, target: Target) -> None:
    x, op = numbers(1, 1, 5, 5), Pool((), "x", "y", kind, (5, 5), (1, 1), (2, 2, 2, 2))
    if kind == "max":
        expected = windows(x, op, -np.inf).max(axis=(-1, -2))
    else:
        expected = windows(x, op, 0.0).sum(axis=(-1, -2)) / windows(np.ones_like(x), op, 0.0).sum(axis=(-1, -2))
    work = lowered([op], {"x": x.shape, "y": x.shape}, {}, ["x"], "y")
    np.testing.assert_allclose(run(program(work, target), {"x": x}), expected, rtol=1e-5, atol=1e-6)


def test_the_largest_number_of_a_window_without_one_is_none(target: Target) -> None:
    x = numbers(1, 16, 4, 4)
    x[0, 3, 1, 1] = np.nan
    op = POOLS["2x2"]
    work = lowered([op], {"x": x.shape, "y": (1, 16, 2, 2)}, {}, ["x"], "y")
    found = run(program(work, target), {"x": x})
    assert np.isnan(found[0, 3, 0, 0]) and np.isfinite(np.delete(found.reshape(-1), 12)).all()


def test_sums(target: Target) -> None:
    x, other = numbers(1, 5, 6, 7), numbers(1, 5, 6, 7, seed=1)
    work = lowered(
        [Pointwise((), "x", "y", "add", "other", activation=Activation("relu"))],
        {"x": x.shape, "other": x.shape, "y": x.shape},
        {},
        ["x", "other"],
        "y",
    )
    np.testing.assert_array_equal(run(program(work, target), {"x": x, "other": other}), np.maximum(x + other, 0))


@pytest.mark.parametrize("shape", [(1, 40, 1, 1), (3, 7, 1, 1), (2, 20, 3, 5)])
@pytest.mark.parametrize("out", [1, 10, 16, 130])
@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_products(shape: tuple[int, int, int, int], out: int, transposed: bool, target: Target) -> None:
    x, depth = numbers(*shape), shape[1] * shape[2] * shape[3]
    matrix, bias = numbers(depth, out, seed=1) / np.float32(depth**0.5), numbers(out, seed=2)
    work = lowered(
        [Dense((), "x", "y", "w", "b", transposed, Activation("relu"))],
        {"x": shape, "y": (shape[0], out, 1, 1)},
        {"w": matrix.T if transposed else matrix, "b": bias},
        ["x"],
        "y",
    )
    expected = np.maximum(x.reshape(shape[0], -1).astype(np.float64) @ matrix + bias, 0)
    found = run(program(work, target, threads=2), {"x": x}).reshape(shape[0], out)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_factors_and_addends_per_channel(target: Target) -> None:
    x, scale, shift = numbers(2, 19, 3, 4), numbers(19, seed=1), numbers(19, seed=2)
    op = Pointwise((), "x", "y", scale="s", shift="b", activation=Activation("leaky", 0.2))
    work = lowered([op], {"x": x.shape, "y": x.shape}, {"s": scale, "b": shift}, ["x"], "y")
    line = x * scale[:, None, None] + shift[:, None, None]
    np.testing.assert_allclose(run(program(work, target), {"x": x}), np.where(line < 0, 0.2 * line, line), rtol=1e-6)


def test_a_gate_is_spread_over_all_pixels(target: Target) -> None:
    x, gate = numbers(2, 19, 3, 4), numbers(2, 19, 1, 1, seed=1)
    op = Pointwise((), "x", "y", "mul", "g", spread=True)
    work = lowered([op], {"x": x.shape, "g": gate.shape, "y": x.shape}, {}, ["x", "g"], "y")
    np.testing.assert_array_equal(run(program(work, target, threads=2), {"x": x, "g": gate}), x * gate)


@pytest.mark.parametrize("seed", range(6))
def test_channels_in_any_order(seed: int, target: Target) -> None:
    random = np.random.default_rng(seed)
    channels = [int(c) for c in random.integers(1, 40, size=3)]
    xs = [numbers(2, c, 3, 5, seed=i) for i, c in enumerate(channels)]
    every = [(i, c) for i, count in enumerate(channels) for c in range(count)]
    plan = every if seed == 0 else [every[int(i)] for i in random.integers(0, len(every), size=50)]
    names = [f"x{i}" for i in range(3)]
    op = Route((), "x0", "y", tuple(names), tuple(plan))
    shapes = {n: x.shape for n, x in zip(names, xs, strict=True)} | {"y": (2, len(plan), 3, 5)}
    found = run(program(lowered([op], shapes, {}, names, "y"), target, threads=2), dict(zip(names, xs, strict=True)))
    np.testing.assert_array_equal(found, np.stack([xs[i][:, c] for i, c in plan], axis=1))
