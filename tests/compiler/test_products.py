"""Products of two values in every way they may lie, against NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper

from rooftune.compiler.lower import lower
from rooftune.compiler.operations import Product
from rooftune.compiler.program import build
from rooftune.compiler.target import Target
from rooftune.execute.native_program import NativeProgram
from rooftune.graph.load import load_proto
from rooftune.verdicts import Refusal

from .running import TARGETS

CASES = {
    "plain": ((2, 5, 32), (2, 32, 20), None, None),
    "second turned": ((3, 7, 48), (3, 21, 48), None, (0, 2, 1)),
    "one column": ((9, 1, 32), (9, 1, 32), None, (0, 2, 1)),
    "one row and depth of one": ((4, 1, 1), (4, 1, 6), None, None),
    "one column, rows apart": ((1, 9, 32), (1, 9, 32), (1, 0, 2), (1, 2, 0)),
    "first turned": ((2, 19, 6), (2, 19, 33), (0, 2, 1), None),
    "odd depth": ((1, 30, 37), (1, 37, 17), None, None),
    "heads": ((1, 3, 10, 64), (1, 3, 10, 64), None, (0, 1, 3, 2)),
}


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("threads", [1, 2])
def test_products(name: str, threads: int, target: Target) -> None:
    a_shape, b_shape, a_order, b_order = CASES[name]
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in (a_shape, b_shape))
    turned = [x if order is None else x.transpose(order) for x, order in ((a, a_order), (b, b_order))]
    expected = turned[0].astype(np.float64) @ turned[1].astype(np.float64)
    nodes, names = [], []
    for letter, order in (("a", a_order), ("b", b_order)):
        names.append(letter if order is None else f"{letter}t")
        if order is not None:
            nodes.append(helper.make_node("Transpose", [letter], [f"{letter}t"], perm=list(order)))
    nodes.append(helper.make_node("MatMul", names, ["y"], name="product"))
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("a", a_shape), ("b", b_shape))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, expected.shape)]
    graph = helper.make_graph(nodes, "product", infos, outputs)
    found = lower(load_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)))
    assert not isinstance(found, Refusal)
    assert any(isinstance(op, Product) for op in found.operations)
    native = NativeProgram(build(found, replace(target, threads=threads)))
    made = native.run({"a": a, "b": b})["y"]
    native.close()
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
