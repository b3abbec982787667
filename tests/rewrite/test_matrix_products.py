"""Merged and re-ordered matrix products against ONNX Runtime, over shapes, batches, transposes and biases."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from tests.rewrite.running import valid
from tests.rewrite.test_arithmetic import Array, both, model, tame


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_gemm_chains(data: st.DataObject) -> None:
    m, k, n, p = (data.draw(st.integers(1, 6)) for _ in range(4))
    flags = [data.draw(st.booleans()) for _ in range(3)]
    scales = [data.draw(st.sampled_from((1.0, 0.5, -2.0))) for _ in range(4)]
    first_bias, second_bias = (data.draw(st.sampled_from((None, (), (1,), (1, 1), "n", "1n", "mn"))) for _ in range(2))
    kinds = data.draw(st.sampled_from((("Gemm", "Gemm"), ("MatMul", "Gemm"), ("Gemm", "MatMul"), ("MatMul", "MatMul"))))
    x = tame("float32", 1, (k, m) if flags[0] and kinds[0] == "Gemm" else (m, k))
    constants: dict[str, Array] = {}
    nodes = []
    for place, (kind, columns, bias) in enumerate(zip(kinds, (n, p), (first_bias, second_bias), strict=True)):
        rows = (k, n)[place]
        turned = flags[1 + place] and kind == "Gemm"
        operands = [("x", "t")[place], f"w{place}"]
        constants[f"w{place}"] = tame("float32", 2 + place, (columns, rows) if turned else (rows, columns))
        shape: Any = {"n": (columns,), "1n": (1, columns), "mn": (m, columns)}.get(bias, bias)  # type: ignore[arg-type]
        attributes: dict[str, Any] = {}
        if kind == "Gemm":
            attributes = {"alpha": scales[2 * place], "beta": scales[2 * place + 1], "transB": int(turned)}
            attributes["transA"] = int(flags[0] and place == 0)
            if bias is not None:
                constants[f"b{place}"] = tame("float32", 5 + place, shape)
                operands.append(f"b{place}")
        nodes.append(helper.make_node(kind, operands, [("t", "y")[place]], **attributes))
    before = model(nodes, {"x": x}, {"y": "float32"}, constants, opset=13)
    found, ((expected, answer),) = both(before, {"x": x}, ["merge_consecutive_gemms", "merge_consecutive_matmuls"])
    scale = np.abs(x).max() * np.prod([np.abs(w).sum() for n_, w in constants.items() if n_.startswith("w")]) + 50
    assert np.abs(expected - answer).max() <= 1e-6 * scale
    if found.journal.applied:
        valid(found.model)
        assert len(list(found.model.nodes)) == 1


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 8), min_size=4, max_size=4),
    st.lists(st.sampled_from(((), (2,), (1,), (3, 1))), min_size=3, max_size=3),
    st.booleans(),
)
def test_matrix_products_in_any_order(sizes: list[int], batches: list[Any], left: bool) -> None:
    shapes = [(*b, i, j) for b, i, j in zip(batches, sizes, sizes[1:], strict=False)]
    feed = {n: tame("float64", i, s) for i, (n, s) in enumerate(zip("abc", shapes, strict=True))}
    first, second = (("a", "b"), ("t", "c")) if left else (("b", "c"), ("a", "t"))
    nodes = [helper.make_node("MatMul", first, ["t"]), helper.make_node("MatMul", second, ["y"])]
    before = model(nodes, feed, {"y": "float64"}, {})
    _, ((expected, answer),) = both(before, feed, ["reassociate_matmul"])
    assert expected.shape == answer.shape
    assert np.allclose(expected, answer, rtol=0, atol=1e-12 * 512 * 27)


def test_vectors_are_not_taken_for_matrices() -> None:
    before = model_of_text(
        """(float[2,8,8] a, float[2,8,8] b, float[8] v) => (float[2,8] y) { t = MatMul(a, b) y = MatMul(t, v) }"""
    )
    found = rewrite(before, [all_steps()["reassociate_matmul"]])
    assert graph_lines(found.model) == graph_lines(before)
