"""Rules for quantised graphs, on a network quantised by ONNX Runtime and on random parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime.quantization as ortq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import Step, all_steps
from tests.rewrite.running import random_feed, run_model, valid

RULES = (
    "remove_relu_before_quantize",
    "remove_relu_after_dequantize",
    "move_shape_ops_to_integers",
    "move_concat_to_integers",
    "move_split_to_integers",
    "remove_redundant_qdq",
)
RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}

NETWORK = """(float[1,4,12,12] x) => (float[1,5] y)
<float[8,4,3,3] w, float[8,8,1,1] v, float[8,8,1,1] u, float[16,5] f, int64[2] flat = {1, -1},
 float low = {0.0}, float high = {6.0}, int64[2] halves = {8, 8}>
{
  a = Conv<pads=[1,1,1,1]>(x, w)
  b = Relu(a)
  c = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b)
  d = Conv(c, v)
  e = Clip(d, low, high)
  g = Transpose<perm=[0,1,3,2]>(e)
  h = Conv(c, u)
  i = Relu(h)
  j = Concat<axis=1>(g, i)
  k, l = Split<axis=1>(j, halves)
  m = Concat<axis=1>(l, k)
  n = GlobalAveragePool(m)
  o = Reshape(n, flat)
  y = MatMul(o, f)
}"""

CHAIN = """(float[1,4,12,12] x) => (float[1,8,6,6] y)
<float[8,4,3,3] w, float[8,8,1,1] v>
{
  a = Conv<pads=[1,1,1,1]>(x, w)
  b = Relu(a)
  c = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b)
  d = Conv(c, v)
  e = Transpose<perm=[0,1,3,2]>(d)
  y = Relu(e)
}"""


def steps(*names: str) -> list[Step]:
    return [all_steps()[name] for name in names or RULES]


def ops(model: Model) -> list[str]:
    return [node.op_type for node in model.ir.graph]


class Reader(ortq.CalibrationDataReader):  # type: ignore[misc]
    """A few random inputs."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


@pytest.mark.parametrize("kind", [ortq.QuantType.QUInt8, ortq.QuantType.QInt8, ortq.QuantType.QInt16])
@pytest.mark.parametrize("form", [ortq.QuantFormat.QDQ, ortq.QuantFormat.QOperator])
def test_network_of_onnxruntime(kind: Any, form: Any, tmp_path: Path) -> None:
    if form == ortq.QuantFormat.QOperator and kind == ortq.QuantType.QInt16:
        pytest.skip("ONNX Runtime has no quantised operators of 16 bits")
    model = model_of_text(NETWORK if form == ortq.QuantFormat.QDQ else CHAIN, opset=17)
    source, target = tmp_path / "float.onnx", tmp_path / "quantised.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(onnx_proto(model)), source)
    ortq.quantize_static(
        source,
        target,
        Reader([random_feed(model, seed) for seed in range(4)]),
        quant_format=form,
        activation_type=kind,
        weight_type=ortq.QuantType.QInt8,
        extra_options={"ActivationSymmetric": kind != ortq.QuantType.QUInt8},
    )
    quantised = load_proto(onnx.load(target))
    found = rewrite(quantised, steps())
    valid(found.model)
    used = {a.rule for a in found.journal.applied}
    if form == ortq.QuantFormat.QDQ:
        assert "move_shape_ops_to_integers" in used
        assert ops(found.model).count("QuantizeLinear") < ops(quantised).count("QuantizeLinear")
    assert len(ops(found.model)) <= len(ops(quantised))
    for seed in (5, 6):
        for before, after in run_model(quantised, found.model, random_feed(quantised, seed), tmp_path).values():
            np.testing.assert_array_equal(before, after)


def onnx_proto(model: Model) -> onnx.ModelProto:
    """The model in ONNX's own classes, which the quantizer works on."""
    import onnx_ir as ir

    return ir.to_proto(model.ir)


@st.composite
def parameters(draw: st.DrawFn) -> tuple[str, float, int]:
    """An integer type, a scale and a zero point."""
    dtype = draw(st.sampled_from(sorted(RANGES)))
    scale = float(np.float32(draw(st.floats(1e-6, 1e4))))
    zero = draw(st.one_of(st.integers(*RANGES[dtype]), st.sampled_from(RANGES[dtype])))
    return dtype, scale, zero


def every_integer(dtype: str, count: int, seed: int) -> Any:
    low, high = RANGES[dtype]
    values = np.random.default_rng(seed).integers(low, high + 1, count)
    values[: min(count, 2)] = [low, high][:count]
    return values.astype(dtype)


@settings(max_examples=40, deadline=None)
@given(parameters())
def test_every_integer_survives_a_pair(tmp_path_factory: pytest.TempPathFactory, how: tuple[str, float, int]) -> None:
    dtype, scale, zero = how
    low, high = RANGES[dtype]
    count = high - low + 1
    model = model_of_text(
        f"""({dtype}[{count}] x) => (float[{count}] y) <float s = {{{scale!r}}}, {dtype} z = {{{zero}}}>
        {{ d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) y = DequantizeLinear(q, s, z) }}""",
        opset=21,
    )
    found = rewrite(model, steps("remove_redundant_qdq"))
    assert ops(found.model) == ["DequantizeLinear"]
    feed = {"x": np.arange(low, high + 1).astype(dtype)}
    for before, after in run_model(model, found.model, feed, tmp_path_factory.mktemp("pair")).values():
        np.testing.assert_array_equal(before, after)


@settings(max_examples=40, deadline=None)
@given(parameters(), parameters(), st.booleans(), st.booleans(), st.booleans())
def test_pairs_stay_where_parameters_differ(
    tmp_path_factory: pytest.TempPathFactory,
    first: tuple[str, float, int],
    second: tuple[str, float, int],
    same_type: bool,
    same_scale: bool,
    same_zero: bool,
) -> None:
    dtype, scale, zero = second
    dtype = first[0] if same_type else dtype
    scale = first[1] if same_scale else scale
    low, high = RANGES[dtype]
    zero = first[2] if same_zero and low <= first[2] <= high else min(max(zero, low), high)
    model = model_of_text(
        f"""({first[0]}[300] x) => ({dtype}[300] y)
        <float s = {{{first[1]!r}}}, {first[0]} z = {{{first[2]}}}, float t = {{{scale!r}}}, {dtype} u = {{{zero}}}>
        {{ i = Identity(x) d = DequantizeLinear(i, s, z) y = QuantizeLinear(d, t, u) }}""",
        opset=21,
    )
    found = rewrite(model, steps())
    assert ("QuantizeLinear" in ops(found.model)) == (first != (dtype, scale, zero))
    feed = {"x": every_integer(first[0], 300, 0)}
    for before, after in run_model(model, found.model, feed, tmp_path_factory.mktemp("differ")).values():
        np.testing.assert_array_equal(before, after)


MOVERS = (
    ("t = Reshape(d, p)", "int64[3] p = {2, 0, -1}", "[2,4,36]", 10),
    ("t = Transpose<perm=[1,3,0,2]>(d)", "", "[4,6,2,6]", 10),
    ("t = Flatten<axis=2>(d)", "", "[8,36]", 10),
    (
        "t = Slice(d, a, b, c, e)",
        "int64[2] a={0,-1}, int64[2] b={2,-7}, int64[2] c={1,3}, int64[2] e={1,-2}",
        "[2,2,6,3]",
        10,
    ),
    ("t = Gather<axis=1>(d, i)", "int64[3] i = {3, 0, -2}", "[2,3,6,6]", 11),
    ("t = Expand(d, p)", "int64[5] p = {3, 1, 1, 1, 1}", "[3,2,4,6,6]", 10),
    ("t = Tile(d, p)", "int64[4] p = {1, 2, 1, 1}", "[2,8,6,6]", 10),
    ("t = DepthToSpace<blocksize=2>(d)", "", "[2,1,12,12]", 13),
    ("t = SpaceToDepth<blocksize=2>(d)", "", "[2,16,3,3]", 13),
    ("t = MaxPool<kernel_shape=[3,2], pads=[1,0,0,1], strides=[2,1], dilations=[1,2], ceil_mode=1>(d)", "", None, 13),
    ('t = Resize<mode="nearest">(d, , k)', "float[4] k = {1.0, 1.0, 2.0, 1.5}", "[2,4,12,9]", 13),
    (
        "u = Unsqueeze(d, p) r = Transpose<perm=[4,0,1,3,2]>(u) t = Squeeze(r, o)",
        "int64[1] p={2}, int64[1] o={4}",
        None,
        13,
    ),
)


@settings(max_examples=60, deadline=None)
@given(parameters(), st.sampled_from(MOVERS))
def test_moving_operators(
    tmp_path_factory: pytest.TempPathFactory, how: tuple[str, float, int], mover: tuple[str, str, str | None, int]
) -> None:
    dtype, scale, zero = how
    body, constants, _, opset = mover
    opset = opset if dtype.endswith("int8") else 21
    given_constants = f", {constants}" if constants else ""
    model = model_of_text(
        f"""({dtype}[2,4,6,6] x) => ({dtype} y)
        <float s = {{{scale!r}}}, {dtype} z = {{{zero}}}{given_constants}>
        {{ d = DequantizeLinear(x, s, z) {body} y = QuantizeLinear(t, s, z) }}""".replace(
            f"({dtype} y)", f"({shape_of(dtype, mover)} y)"
        ),
        opset=opset,
    )
    found = rewrite(model, steps())
    wide = dtype.endswith("16") and any(op in body for op in ("MaxPool", "Resize", "ToDepth", "ToSpace"))
    assert ("QuantizeLinear" in ops(found.model)) == wide, graph_lines(found.model)
    valid(found.model)
    feed = {"x": every_integer(dtype, 288, 1).reshape(2, 4, 6, 6)}
    for before, after in run_model(model, found.model, feed, tmp_path_factory.mktemp("moved")).values():
        np.testing.assert_array_equal(before, after)


def shape_of(dtype: str, mover: tuple[str, str, str | None, int]) -> str:
    """The declared output: of the shape that is known, else of the rank alone."""
    if mover[2] is not None:
        return f"{dtype}{mover[2]}"
    return f"{dtype}[A,B,C,D]"


@settings(max_examples=60, deadline=None)
@given(parameters(), st.floats(-50, 50), st.floats(-50, 50), st.booleans(), st.booleans())
def test_clips_around_quantisation(
    tmp_path_factory: pytest.TempPathFactory,
    how: tuple[str, float, int],
    low: float,
    high: float,
    relu: bool,
    before_it: bool,
) -> None:
    dtype, scale, zero = how
    low, high = sorted((float(np.float32(low)), float(np.float32(high))))
    clip = "c = Relu(v)" if relu else "c = Clip(v, low, high)"
    constants = f"<float s={{{scale!r}}}, {dtype} z={{{zero}}}, float low={{{low!r}}}, float high={{{high!r}}}>"
    if before_it:
        text = f"(float[500] v) => ({dtype}[500] y) {constants} {{ {clip} y = QuantizeLinear(c, s, z) }}"
    else:
        text = f"({dtype}[500] x) => (float[500] c) {constants} {{ v = DequantizeLinear(x, s, z) {clip} }}"
    model = model_of_text(text, opset=21)
    found = rewrite(model, steps())
    spread = np.random.default_rng(2).normal(0, 40, 500).astype(np.float32)
    edges = np.float32([low, high, 0, -0.0, scale / 2, -scale / 2, np.inf, -np.inf, np.nan])
    feed = {"v": np.concatenate([edges, spread])[:500]} if before_it else {"x": every_integer(dtype, 500, 3)}
    for before, after in run_model(model, found.model, feed, tmp_path_factory.mktemp("clip")).values():
        np.testing.assert_array_equal(before, after)
    lowest, _ = RANGES[dtype]
    if relu:
        assert ("Relu" not in ops(found.model)) == (zero == lowest)


def test_split_of_alike_quantised_parts(tmp_path: Path) -> None:
    model = model_of_text(
        """(uint8[2,6] x) => (float[2,2] y, float[2,4] w) <float s = {0.1}, uint8 o = {7}, int64[2] parts = {2, 4}>
        { d = DequantizeLinear(x, s, o) a, b = Split<axis=1>(d, parts) p = QuantizeLinear(a, s, o)
          q = QuantizeLinear(b, s, o) y = DequantizeLinear(p, s, o) w = DequantizeLinear(q, s, o) }""",
        opset=13,
    )
    found = rewrite(model, steps())
    assert sorted(ops(found.model)) == ["DequantizeLinear", "DequantizeLinear", "Split"]
    for before, after in run_model(model, found.model, random_feed(model, 0), tmp_path).values():
        np.testing.assert_array_equal(before, after)


def test_a_scale_the_caller_may_replace_is_left(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (uint8[3] x, float s) => (uint8[3] y) <float s = {0.1}, uint8 z = {0}>
        { i = Identity(x) d = DequantizeLinear(i, s, z) y = QuantizeLinear(d, s, z) }"""
    )
    model = load_proto(proto)
    assert [v.name for v in model.ir.graph.inputs] == ["x", "s"]
    assert not rewrite(model, steps()).journal.applied
