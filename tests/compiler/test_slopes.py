"""PRelu against ONNX Runtime: one slope, one per channel, one per element, behind convolutions and factors."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from rooftune.compiler.operations import Pointwise
from rooftune.compiler.target import Target, host_target

from .node_graphs import agrees, graph
from .running import TARGETS, lowered, program, run
from .single_nodes import numbers

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

PRELU = helper.make_node("PRelu", ["x", "slope"], ["y"], name="prelu")


@pytest.mark.parametrize(
    ("shape", "slopes"),
    [
        ((3, 17, 4, 5), [(1,), (17, 1, 1), (1, 17, 1, 1), (4, 5), (5,), (17, 4, 5), (3, 17, 4, 5), (3, 1, 1, 1)]),
        ((1, 48, 2, 3), [(48, 1, 1), (1, 1, 2, 1), (1, 48, 1, 3)]),
        ((1, 3, 1, 7), [(3, 1, 1), ()]),
        ((3, 1, 4, 4), [(1, 1, 1), (1, 4, 1)]),
        ((2, 5, 33), [(33,), (5, 1), (2, 1, 1), (5, 33)]),
        ((3, 17), [(17,), (3, 1), (1,)]),
        ((48,), [(48,), (1,)]),
        ((2, 3, 1, 2, 20), [(3, 1, 1, 1), (20,), (1, 2, 1), (2, 1, 1, 2, 20)]),
    ],
)
def test_slopes(shape: tuple[int, ...], slopes: list[tuple[int, ...]]) -> None:
    known = {f"s{i}": np.asarray(numbers(*sizes, seed=i), np.float32) for i, sizes in enumerate(slopes)}
    nodes = [helper.make_node("PRelu", ["x", name], [f"y{name}"], name=f"prelu {name}") for name in known]
    proto = graph(nodes, {"x": shape}, known, [node.output[0] for node in nodes])
    assert agrees(proto, {"x": numbers(*shape)}) == ["Pointwise"] * len(slopes)


def test_slopes_that_are_worked_out() -> None:
    shapes = {"x": (3, 17, 4, 5), "slope": (17, 1, 1)}
    feed = {name: numbers(*shape, seed=1) for name, shape in shapes.items()}
    agrees(graph([PRELU], shapes, {}), feed)


def test_negative_numbers_only_and_what_is_none(target: Target) -> None:
    x, slope = numbers(1, 20, 3, 4), numbers(1, 20, 1, 1, seed=1)
    x[0, 0, 0] = [np.nan, np.inf, -np.inf, -0.0]
    shapes = {"x": x.shape, "s": slope.shape, "y": x.shape}
    work = lowered([Pointwise((), "x", "y", "prelu", "s")], shapes, {}, ["x", "s"], "y")
    np.testing.assert_array_equal(run(program(work, target), {"x": x, "s": slope}), np.where(x < 0, x * slope, x))


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


@pytest.mark.parametrize("batch", [1, 3])
def test_behind_a_convolution(batch: int) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["c", "slope"], ["y"], name="prelu"),
    ]
    shapes, feed = {"x": (batch, 3, 6, 7)}, {"x": numbers(batch, 3, 6, 7)}
    weights = {"w": numbers(17, 3, 3, 3, seed=1), "b": numbers(17, seed=2)}
    one = graph(nodes, shapes, weights | {"slope": np.float32([0.2])})
    assert agrees(one, feed, 5e-6) == ["Convolution"]
    alike = graph(nodes, shapes, weights | {"slope": np.full((17, 1, 1), 0.2, np.float32)})
    assert agrees(alike, feed, 5e-6) == ["Convolution"]
    each = graph(nodes, shapes, weights | {"slope": numbers(17, 1, 1, seed=3)})
    assert agrees(each, feed, 5e-6) == ["Convolution", "Pointwise"]


def test_factors_before_it_and_functions_behind_it_are_one_pass() -> None:
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["m"], name="factor"),
        helper.make_node("PRelu", ["m", "slope"], ["p"], name="prelu"),
        helper.make_node("Tanh", ["p"], ["y"], name="tanh"),
    ]
    constants = {"factor": numbers(17, 1, 1, seed=1), "slope": numbers(17, 1, 1, seed=2)}
    proto = graph(nodes, {"x": (3, 17, 4, 5)}, constants)
    assert agrees(proto, {"x": numbers(3, 17, 4, 5)}) == ["Pointwise"]
