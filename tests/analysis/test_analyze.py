"""The whole analysis on models read from text: totals, views, parameters, open dimensions, control flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sympy

from rooftune.analysis.analyze import Analysis, analyze
from rooftune.graph.load import load
from rooftune.quantities import Unknown, symbol
from tests.analysis.graphs import machine, write_model

Analyze = Callable[..., Analysis]


@pytest.fixture
def of(tmp_path: Path) -> Analyze:
    def run(body: str, opset: int = 17, **options: object) -> Analysis:
        text = f'<ir_version: 9, opset_import: ["" : {opset}, "acme" : 1]>\n{body}'
        path = write_model(text, tmp_path / "model.onnx")
        batch = options.pop("batch", None)
        return analyze(load(path, batch=batch), machine(), threads=1, **options)  # type: ignore[arg-type]

    return run


NET = """net ({n}[{batch},3,8,8] x) => ({n}[{batch},8,8,8] y)
<float[8,3,3,3] w, float[8] b, float[8] scale, float[8] shift, float[8] mean, float[8] variance>
{{
  a = Conv <pads = [1,1,1,1]> (x, w, b)
  c = BatchNormalization (a, scale, shift, mean, variance)
  y = Relu (c)
}}"""


def test_totals_of_a_small_net(of: Analyze) -> None:
    totals = of(NET.format(n="float", batch=1)).totals
    assert totals.macs == 8 * 64 * 27
    # windows at the border miss one row or column: 22 of 24 taps per axis meet the map
    assert totals.executed_macs == 8 * 3 * 22 * 22
    assert totals.params == 8 * 27 + 8 + 16
    assert totals.buffers == 16
    assert totals.coverage == 1.0
    weights, activation = 4 * (216 + 8 + 32), 4 * 512
    assert totals.bytes["ideal"] == 4 * 192 + weights + activation
    assert totals.bytes["fused"] == totals.bytes["ideal"]
    assert totals.bytes["unfused"] == 4 * 192 + weights + 5 * activation
    assert totals.bytes["textbook"] == weights + 3 * activation
    assert totals.weight_bytes == weights


def test_parts_add_up_to_the_totals(of: Analyze) -> None:
    found = of(NET.format(n="float", batch=2))
    for view in ("textbook", "unfused", "fused", "ideal"):
        assert sum(n.bytes[view] for n in found.nodes) == found.totals.bytes[view]  # type: ignore[misc]
    assert sum(n.roof_seconds for n in found.nodes) == pytest.approx(found.totals.roof_seconds)  # type: ignore[misc]
    assert sum(g.predicted_seconds for g in found.groups) == pytest.approx(found.totals.predicted_seconds)  # type: ignore[misc]


def test_open_batch_gives_symbolic_totals_and_binding_it_numbers(of: Analyze) -> None:
    batch = symbol("N")
    found = of(NET.format(n="float", batch="N"))
    assert sympy.simplify(found.totals.macs - 8 * 64 * 27 * batch) == 0
    assert isinstance(found.totals.roof_seconds, Unknown)
    assert "open dimensions" in found.totals.roof_seconds.reason
    assert found.totals.footprint_bytes.free_symbols == {batch}  # type: ignore[union-attr]
    bound = of(NET.format(n="float", batch="N"), batch=4)
    assert bound.totals.macs == 4 * 8 * 64 * 27
    assert isinstance(bound.totals.roof_seconds, float)


def test_a_custom_operator_is_unknown_and_never_zero(of: Analyze) -> None:
    found = of("net (float[4] x) => (float[4] z) <float[4] y> { y = acme.Magic (x)\n z = Relu (y) }")
    assert [(u.op, u.reason) for u in found.unknown] == [("acme::Magic", "no formula for acme::Magic")]
    assert found.totals.coverage == 0.5
    assert isinstance(found.nodes[0].flops, Unknown)


def test_shared_weights_count_once(of: Analyze) -> None:
    found = of(
        """net (float[1,8] x) => (float[1,8] z) <float[8,8] w>
        { y = MatMul (x, w)
          z = MatMul (y, w) }"""
    )
    assert found.totals.params == 64
    assert found.totals.weight_bytes == 256
    assert found.totals.macs == 128
    assert found.totals.bytes["ideal"] == 32 + 256 + 32


def test_shapes_scalars_and_bounds_are_no_parameters(of: Analyze) -> None:
    found = of(
        """net (float[2,8] x) => (float[4,4] z)
        <int64[2] shape = {4, 4}, float low = {0.0}, float high = {6.0}, float half = {0.5}>
        { a = Clip (x, low, high)
          b = Mul (a, half)
          z = Reshape (b, shape) }"""
    )
    assert found.totals.params == 0


def test_what_is_computed_from_constants_is_a_weight(of: Analyze) -> None:
    found = of(
        """net (float[1,8] x) => (float[1,4] y) <float[4,8] w>
        { t = Transpose <perm = [1, 0]> (w)
          y = MatMul (x, t) }"""
    )
    assert found.totals.params == 32
    assert found.totals.flops == 64
    assert [g.op for g in found.groups] == ["MatMul"]


def test_loop_with_constant_trips_multiplies_its_body(of: Analyze) -> None:
    found = of(
        """net (float[4,4] x) => (float[4,4] y) <int64 trips = {5}, bool yes = {1}>
        { y = Loop (trips, yes, x) <body = step (int64 i, bool go, float[4,4] state) => (bool on, float[4,4] next)
            { on = Identity (go)
              next = MatMul (state, state) }> }"""
    )
    assert found.totals.macs == 5 * 64
    assert found.totals.coverage == 1.0


def test_loop_whose_trips_are_data_is_unknown(of: Analyze) -> None:
    found = of(
        """net (float[4] x, int64 trips) => (float[4] y) <bool yes = {1}>
        { y = Loop (trips, yes, x) <body = step (int64 i, bool go, float[4] state) => (bool on, float[4] next)
            { on = Identity (go)
              next = Relu (state) }> }"""
    )
    assert [u.reason for u in found.unknown] == ["the trip count is decided at run time"]


def test_if_counts_its_dearer_branch(of: Analyze) -> None:
    found = of(
        """net (float[4,4] x, bool c) => (float[4,4] y)
        { y = If (c) <then_branch = a () => (float[4,4] t) { t = MatMul (x, x) },
                      else_branch = b () => (float[4,4] e) { e = Relu (x) }> }"""
    )
    assert found.totals.macs == 64


def test_zero_size_tensors_are_legal(of: Analyze) -> None:
    found = of("net (float[0,8] x) => (float[0,8] y) { y = Relu (x) }")
    assert found.totals.flops == 0
    assert found.totals.roof_seconds == 0.0


def test_functions_of_the_model_are_added_up(of: Analyze, tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
net (float[4,4] x) => (float[4,4] y) { y = local.Twice (x) }
<domain: "local", opset_import: ["" : 17]>
Twice (a) => (c) { b = MatMul (a, a)
  c = MatMul (b, a) }"""
    found = analyze(load(write_model(text, tmp_path / "functions.onnx")), machine(), threads=1)
    assert found.totals.macs == 128
    assert found.totals.coverage == 1.0
