"""Powers, differences, quotients, and sums, means and extremes of any number of values against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import helper

from rooftune.compiler.target import host_target

from .node_graphs import agrees as several
from .node_graphs import graph
from .single_nodes import agrees, numbers, refusal, single

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


@pytest.mark.parametrize("exponent", [2.0, 0.5, 1.0, -1.0])
def test_powers(exponent: float) -> None:
    x = np.abs(numbers(2, 20, 3, 3)) + 0.5
    agrees(single("Pow", x, [np.float32(exponent).reshape(())]), x)


def test_other_powers_are_left_to_others() -> None:
    assert "power of 2.5" in refusal(single("Pow", numbers(1, 4), [np.float32(2.5).reshape(())]))


@pytest.mark.parametrize("kind", ["Sub", "Div", "Max", "Min"])
@pytest.mark.parametrize("shape", [(1,), (20, 1, 1), (2, 20, 3, 1), (3, 3)])
def test_constants(kind: str, shape: tuple[int, ...]) -> None:
    x = numbers(2, 20, 3, 3)
    agrees(single(kind, x, [np.abs(numbers(*shape, seed=1)) + 0.5]), x)


def test_whole_powers() -> None:
    x = numbers(2, 20, 3, 3)
    for exponent in (2.0, 3.0, 4.0, 7.0, 11.0):
        agrees(single("Pow", x, [np.float32(exponent).reshape(())]), x)


MANY = ["Sum", "Mean", "Max", "Min"]


Shapes = Sequence[tuple[int, ...]]


def joined(kind: str, *cases: tuple[Shapes, Sequence[int]]) -> list[str]:
    """Compare nodes that each join values of some shapes, of which some are constants; what their operations are."""
    nodes, feed, constants = [], {}, {}
    for case, (shapes, known) in enumerate(cases):
        names = [f"x{case} {i}" for i in range(len(shapes))]
        for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
            given = constants if i in known else feed
            given[name] = np.asarray(numbers(*shape, seed=i), np.float32)
        nodes.append(helper.make_node(kind, names, [f"y{case}"], name=f"{kind} {case}"))
    inputs = {name: array.shape for name, array in feed.items()}
    return several(graph(nodes, inputs, constants, [n.output[0] for n in nodes]), feed)


@pytest.mark.parametrize("kind", MANY)
def test_any_number_of_values(kind: str) -> None:
    shapes = [(3, 17, 4, 5), (1, 48, 1, 3), (2, 5, 33), (3, 1), (17,), (2, 3, 1, 2, 20)]
    for count, operations in ((1, 0), (2, 1), (3, 2), (6, 5)):
        cases: list[tuple[Shapes, Sequence[int]]] = [([shape] * count, []) for shape in shapes]
        assert joined(kind, *cases) == ["Pointwise"] * operations * len(shapes)
    joined(kind, *(([shape] * 3, known) for shape in shapes for known in ([1], [0, 2])))


@pytest.mark.parametrize("kind", MANY)
def test_values_that_are_repeated(kind: str) -> None:
    joined(
        kind,
        ([(3, 17, 4, 5), (17, 1, 1), (4, 5)], []),
        ([(17, 1, 1), (3, 1, 4, 1), (3, 17, 4, 5)], [0]),
        ([(3, 1, 1, 5), (17, 4, 1)], []),
        ([(1,), (2, 5, 33), (5, 1), (33,)], [3]),
        ([(5, 1), (2, 1, 20)], []),
    )


def test_the_same_value_several_times() -> None:
    x = numbers(3, 17, 4, 5)
    names = [(kind, count) for kind in MANY for count in (2, 3)]
    nodes = [helper.make_node(kind, ["x"] * n, [f"y{kind}{n}"], name=f"{kind} {n}") for kind, n in names]
    several(graph(nodes, {"x": x.shape}, {}, [node.output[0] for node in nodes]), {"x": x})


def test_means_without_an_end_overflow_as_sums_do() -> None:
    x = np.full((1, 17), 3e38, np.float32)
    node = helper.make_node("Mean", ["x", "x"], ["y"], name="mean")
    several(graph([node], {"x": x.shape}, {}), {"x": x})


@pytest.mark.parametrize("kind", ["Sum", "Mean"])
def test_sums_join_a_convolution(kind: str) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["x", "v"], ["d"], name="other", pads=[1, 1, 1, 1]),
        helper.make_node(kind, ["c", "d", "x"], ["y"], name="sum"),
    ]
    weights = {"w": numbers(17, 17, 3, 3, seed=1), "v": numbers(17, 17, 3, 3, seed=2)}
    proto, feed = graph(nodes, {"x": (3, 17, 6, 5)}, weights), {"x": numbers(3, 17, 6, 5)}
    assert several(proto, feed, 1e-5) == ["Convolution", "Convolution", "Pointwise"]
    del nodes[2].input[2]
    assert several(graph(nodes, {"x": (3, 17, 6, 5)}, weights), feed, 1e-5) == ["Convolution", "Convolution"]


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max"])
def test_smaller_values_are_repeated_and_not_written_out(kind: str) -> None:
    shapes: list[Shapes] = [
        [(3, 17, 4, 5), (1, 17, 1, 1)],
        [(3, 17, 4, 5), (3, 1, 4, 5)],
        [(3, 17, 4, 5), (1, 17, 4, 5)],
        [(2, 3, 9, 20), (1, 3, 1, 1)],
        [(2, 7, 20), (1, 7, 1)],
    ]
    both = [*shapes, *(pair[::-1] for pair in shapes)]
    assert joined(kind, *((pair, []) for pair in both)) == ["Pointwise"] * len(both)
    more = [*shapes, [(3, 17, 4, 5), (17, 4, 1)], [(2, 7, 20), (7, 20)], [(2, 2, 7, 1, 20), (2, 7, 1, 20)]]
    cases = [*((pair, [1]) for pair in more), *((pair[::-1], [0]) for pair in more)]
    assert joined(kind, *cases) == ["Pointwise"] * len(cases)


def test_images_that_lie_apart_are_not_repeated() -> None:
    wide = (2, 3, 1, 7, 20)
    joined(
        "Add",
        ([wide, (2, 1, 1, 7, 20)], []),
        ([wide, (2, 1, 1, 7, 20)], [1]),
        ([(2, 3, 2, 1, 20), (2, 1, 2, 1, 1)], [1]),
    )
