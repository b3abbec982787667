"""Where with conditions that are known ahead, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from onnx import helper

from rooftune.compiler.target import host_target

from .node_graphs import Array, agrees, graph, refused
from .single_nodes import numbers

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

NODE = helper.make_node("Where", ["c", "a", "b"], ["y"], name="where")


def truths(*shape: int, seed: int = 3) -> Array:
    return np.asarray(np.random.default_rng(seed).random(shape) < 0.5)


SHAPES: list[tuple[tuple[int, ...], list[tuple[int, ...]]]] = [
    ((3, 17, 4, 5), [(3, 17, 4, 5), (4, 5), (17, 1, 1), (3, 1, 1, 5), (1,), ()]),
    ((1, 48, 2, 3), [(48, 2, 3), (1, 1, 2, 1)]),
    ((3, 1, 3, 4), [(1, 1, 3, 4)]),
    ((2, 5, 33), [(33,), (5, 33), (2, 1, 1), (5, 1)]),
    ((3, 17), [(3, 17), (17,), (3, 1)]),
    ((48,), [(48,), (1,)]),
    ((2, 3, 1, 2, 20), [(3, 1, 1, 1), (2, 1, 1, 2, 20)]),
]


def chosen(*cases: tuple[str, str, Array], feed: Mapping[str, Array], constants: Mapping[str, Array]) -> list[str]:
    """Compare nodes with two branches each and a condition that is known; what their operations are."""
    conditions = {f"c{i}": condition for i, (_, _, condition) in enumerate(cases)}
    nodes = [
        helper.make_node("Where", [f"c{i}", one, other], [f"y{i}"], name=f"where {i}")
        for i, (one, other, _) in enumerate(cases)
    ]
    inputs = {name: array.shape for name, array in feed.items()}
    return agrees(graph(nodes, inputs, {**constants, **conditions}, [n.output[0] for n in nodes]), feed)


@pytest.mark.parametrize(("shape", "conditions"), SHAPES)
def test_conditions(shape: tuple[int, ...], conditions: list[tuple[int, ...]]) -> None:
    feed, constants = {"a": numbers(*shape), "b": numbers(*shape, seed=1)}, {"low": np.float32(-np.inf)}
    pairs = [("a", "low"), ("low", "a"), ("a", "b")]
    cases = [(*pair, truths(*sizes)) for pair in pairs for sizes in conditions]
    assert chosen(*cases, feed=feed, constants=constants) == ["Pointwise"] * len(cases)


def test_branches_that_are_repeated() -> None:
    feed, constants, cases = {}, {}, []
    for number, (a, b, c) in enumerate(
        (
            ((17, 1, 1), (3, 17, 4, 5), (4, 5)),
            ((3, 17, 4, 5), (3, 1, 4, 1), (5,)),
            ((3, 17, 1, 1), (4, 5), (1,)),
            ((1, 17, 1, 1), (1, 1, 1, 5), (3, 1, 4, 1)),
            ((17,), (17,), (3, 17)),
            ((2, 1, 20), (5, 1), (2, 1, 1)),
        )
    ):
        for name, shape in (("a", a), ("b", b)):
            feed[f"{name}{number}"] = constants[f"{name}{number} known"] = numbers(*shape, seed=number)
        known = (("", ""), (" known", ""), ("", " known"))
        cases += [(f"a{number}{one}", f"b{number}{other}", truths(*c)) for one, other in known]
    chosen(*cases, feed=feed, constants=constants)


def test_two_constants() -> None:
    constants = {"a": numbers(17, 1, 1), "b": numbers(4, 5, seed=1)}
    nodes = [NODE, helper.make_node("Add", ["y", "x"], ["z"], name="sum")]
    proto = graph(nodes, {"x": (3, 17, 4, 5)}, constants | {"c": truths(4, 1)}, ["z"])
    agrees(proto, {"x": numbers(3, 17, 4, 5)})


def test_numbers_that_are_none_do_not_pass() -> None:
    x = numbers(2, 17, 3, 4)
    c = truths(2, 17, 3, 4)
    x[~c] = np.nan
    agrees(graph([NODE], {"a": x.shape}, {"c": c, "b": np.float32(7)}), {"a": x})


@pytest.mark.parametrize("heads", [1, 3])
def test_masked_attention(heads: int) -> None:
    """Scores of tokens that come later are put out of the way before Softmax."""
    tokens = 21
    nodes = [
        helper.make_node("MatMul", ["q", "k"], ["scores"], name="scores"),
        helper.make_node("Where", ["mask", "scores", "low"], ["masked"], name="mask"),
        helper.make_node("Softmax", ["masked"], ["y"], name="shares"),
    ]
    shapes = {"q": (2, heads, tokens, 8), "k": (2, heads, 8, tokens)}
    mask = np.tril(np.ones((1, 1, tokens, tokens), bool))
    for low in (-np.inf, np.finfo(np.float32).min):
        proto = graph(nodes, shapes, {"mask": mask, "low": np.float32(low)})
        feed = {name: numbers(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
        assert "Pointwise" in agrees(proto, feed, 5e-6)


def test_functions_behind_it_are_one_pass() -> None:
    nodes = [NODE, helper.make_node("Relu", ["y"], ["r"], name="relu")]
    shape = (1, 17, 4, 5)
    proto = graph(nodes, {"a": shape}, {"c": truths(4, 5), "b": np.float32([-1])}, ["r"])
    assert agrees(proto, {"a": numbers(*shape)}) == ["Pointwise"]


def test_conditions_that_are_worked_out_are_left_to_others() -> None:
    nodes = [
        helper.make_node("Greater", ["a", "b"], ["c"], name="greater"),
        NODE,
    ]
    assert refused(graph(nodes, {"a": (2, 3), "b": (2, 3)}, {}))
