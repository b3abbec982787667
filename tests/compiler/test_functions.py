"""Functions of single numbers as nodes: against ONNX Runtime, by themselves and in the registers of a convolution."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from rooftune.compiler.target import host_target

from .node_graphs import agrees, graph
from .single_nodes import numbers

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

FUNCTIONS = {"Cos": {}, "Shrink": {"lambd": 0.6, "bias": 0.2}, "Sin": {}}


@pytest.mark.parametrize("kind", list(FUNCTIONS))
def test_by_themselves(kind: str) -> None:
    shapes = {"a": (3, 17, 4, 5), "b": (1, 3, 2, 1), "c": (2, 5, 48), "d": (3, 1), "e": (17,), "f": ()}
    nodes = [helper.make_node(kind, [n], [f"y{n}"], name=f"{kind} {n}", **FUNCTIONS[kind]) for n in shapes]
    feed = {name: np.asarray(numbers(*shape) * 3, np.float32) for name, shape in shapes.items()}
    found = agrees(graph(nodes, shapes, {}, [n.output[0] for n in nodes]), feed)
    assert found == ["Pointwise"] * len(shapes)


@pytest.mark.parametrize("batch", [1, 3])
def test_behind_convolutions(batch: int) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], [f"c{kind}"], name=f"conv {kind}") for kind in FUNCTIONS]
    nodes += [
        helper.make_node(kind, [f"c{kind}"], [f"y{kind}"], name=kind, **numbers_of)
        for kind, numbers_of in FUNCTIONS.items()
    ]
    proto = graph(
        nodes, {"x": (batch, 3, 6, 5)}, {"w": numbers(17, 3, 3, 3, seed=1)}, [f"y{kind}" for kind in FUNCTIONS]
    )
    assert agrees(proto, {"x": numbers(batch, 3, 6, 5)}, 1e-5) == ["Convolution"] * len(FUNCTIONS)


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_products_behind_a_convolution(exponent: float) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Pow", ["c", "e"], ["y"], name="power"),
    ]
    weights = {"w": numbers(17, 3, 3, 3, seed=1) / 5, "e": np.float32(exponent)}
    proto = graph(nodes, {"x": (1, 3, 6, 5)}, weights)
    assert agrees(proto, {"x": numbers(1, 3, 6, 5)}, 1e-5) == ["Convolution"]
