"""LRN: the kernel against NumPy in double on every vector width, nodes against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from rooftune.compiler.operations import LocalResponse
from rooftune.compiler.target import Target, host_target

from .node_graphs import agrees, graph
from .running import TARGETS, Floats
from .single_nodes import numbers, run_one

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def exact(x: Floats, op: LocalResponse) -> np.ndarray:
    wide, channels = x.astype(np.float64), x.shape[1]
    with np.errstate(invalid="ignore"):
        squares = wide * wide
        around = [squares[:, max(0, c - op.before) : c + op.after + 1].sum(axis=1) for c in range(channels)]
        return np.asarray(wide / (op.bias + op.factor * np.stack(around, axis=1)) ** op.beta)


def check(x: Floats, op: LocalResponse, target: Target, threads: int = 1) -> None:
    found = run_one(op, x, x.shape, target, threads=threads)
    np.testing.assert_allclose(found, exact(x, op), rtol=2e-6, atol=1e-30)


SHAPES = [(1, 96, 3, 5), (3, 17, 4, 2), (1, 3, 5, 7), (3, 1, 2, 2), (1, 48, 1, 1), (2, 33, 1, 9)]


@pytest.mark.parametrize("shape", SHAPES)
def test_windows(shape: tuple[int, int, int, int], target: Target) -> None:
    for before, after in ((2, 2), (0, 0), (0, 1), (1, 2), (4, 3), (16, 16), (20, 40)):
        check(numbers(*shape) * 3, LocalResponse((), "x", "y", before, after, 0.2, 0.75, 1.0), target, threads=2)


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6, 2.0, 0.0])
def test_powers(beta: float, target: Target) -> None:
    for factor, bias in ((1e-4, 1.0), (2e-5, 2.0), (1.0, 0.1)):
        check(numbers(1, 20, 3, 4) * 10, LocalResponse((), "x", "y", 2, 2, factor, beta, bias), target)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_size(data: st.DataObject) -> None:
    sizes = [data.draw(st.integers(1, most)) for most in (3, 70, 5, 9)]
    before, after = (data.draw(st.integers(0, 40)) for _ in range(2))
    op = LocalResponse((), "x", "y", before, after, 0.3, data.draw(st.sampled_from([0.75, 0.9])), 0.5)
    check(numbers(*sizes), op, TARGETS[data.draw(st.sampled_from(list(TARGETS)))], data.draw(st.integers(1, 3)))


def test_what_is_no_number_spreads_to_neighbours_only(target: Target) -> None:
    x = numbers(1, 37, 1, 3)
    x[0, 16, 0, 0] = np.nan
    x[0, 30, 0, 1] = np.inf
    op = LocalResponse((), "x", "y", 2, 2, 0.2, 0.75, 1.0)
    found = run_one(op, x, x.shape, target)
    np.testing.assert_allclose(found, exact(x, op), rtol=2e-6, atol=1e-30)
    assert np.isnan(found[0, 14:19, 0, 0]).all() and np.isfinite(np.delete(found[0, :, 0, 0], range(14, 19))).all()


@pytest.mark.parametrize("shape", [(3, 17, 5, 6), (1, 96, 4, 4), (1, 3, 2, 2), (3, 1, 3, 3)])
@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_nodes(shape: tuple[int, ...], size: int) -> None:
    node = helper.make_node("LRN", ["x"], ["y"], name="lrn", size=size, alpha=0.3, beta=0.75, bias=2.0)
    assert agrees(graph([node], {"x": shape}, {}), {"x": numbers(*shape)}) == ["LocalResponse"]


def test_what_the_standard_says_where_nothing_is_said() -> None:
    node = helper.make_node("LRN", ["x"], ["y"], name="lrn", size=5)
    agrees(graph([node], {"x": (1, 17, 3, 3)}, {}), {"x": numbers(1, 17, 3, 3) * 100})


def test_between_a_convolution_and_a_pool() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("LRN", ["r"], ["n"], name="lrn", size=5, alpha=0.1, beta=0.75),
        helper.make_node("MaxPool", ["n"], ["y"], name="pool", kernel_shape=[3, 3], strides=[2, 2]),
    ]
    proto = graph(nodes, {"x": (3, 3, 9, 9)}, {"w": numbers(48, 3, 3, 3, seed=1)})
    assert agrees(proto, {"x": numbers(3, 3, 9, 9)}, 5e-6) == ["Convolution", "LocalResponse", "Pool"]
