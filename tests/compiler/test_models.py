"""Whole models: lowered as they should be, run as ONNX Runtime runs them, refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.memory import place_values
from rooftune.compiler.operations import Convolution, Dense, Operation
from rooftune.compiler.program import build
from rooftune.compiler.target import host_target
from rooftune.errors import InputError
from rooftune.execute.backends.native import BACKEND, NativeModel
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.worker import Worker
from rooftune.graph.save import save_graph
from rooftune.graph.text import model_of_text
from rooftune.pipeline.compile import STAGES, compile_model
from rooftune.verdicts import Refusal

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

BLOCK = """(float[2,3,17,15] x) => (float[2,10] y)
    <float[24,3,3,3] a, float[24] as, float[24] ab, float[24] am, float[24] var_a,
     float[24,1,3,3] d, float[24,24,1,1] p, float[24] pb, float[24,24,3,3] q,
     float low = {0.0}, float high = {6.0}, float[10,24] w, float[10] b>
    { c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, a) n = BatchNormalization(c, as, ab, am, var_a)
      r = Clip(n, low, high) e = Conv<pads=[1,1,1,1], group=24>(r, d) f = Relu(e) g = Conv(f, p, pb)
      s = Add(g, r) t = Relu(s) u = Conv<pads=[1,1,1,1]>(t, q) v = Add(u, s)
      k = MaxPool<kernel_shape=[2,2], strides=[2,2]>(v) m = GlobalAveragePool(k)
      o = Flatten(m) y = Gemm<transB=1>(o, w, b) }"""

FLAT = """(float[1,5,4,6] x) => (float[1,7] y) <float[18,5,3,3] w, float[432,7] m, float[7] b>
    { c = Conv<pads=[1,1,1,1]>(x, w) r = LeakyRelu<alpha=0.1>(c) f = Flatten(r) y = Gemm(f, m, b) }"""


def written(text: str, folder: Path) -> Path:
    return save_graph(model_of_text(text).ir, folder / "model.onnx")


def operations(text: str) -> list[Operation]:
    found = lower(model_of_text(text))
    assert isinstance(found, Lowered), found
    return found.operations


@pytest.mark.parametrize("text", [BLOCK, FLAT])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("winograd", [True, False])
def test_models_agree_with_the_reference(text: str, threads: int, winograd: bool, tmp_path: Path) -> None:
    path = written(text, tmp_path)
    candidate = next(c for c in BACKEND.space(threads) if c.settings["winograd"] is winograd)
    model = BACKEND.load(path, candidate)
    assert isinstance(model, NativeModel)
    random = np.random.default_rng(5)
    feeds = [{n: random.standard_normal(s.shape).astype(np.float32) for n, s in model.inputs.items()} for _ in range(3)]
    found = [model.run(feed)["y"] for feed in feeds]
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model.run(feeds[0])
    with Worker(reference_candidate(), path) as reference:
        for feed, answer in zip(feeds, found, strict=True):
            expected = reference.run(feed)["y"]
            assert np.abs(answer - expected).max() <= 1e-5 * np.abs(expected).max()


def test_what_follows_a_convolution_joins_it() -> None:
    first, *_ = found = operations(
        """(float[1,16,8,8] x, float[1,16,8,8] z) => (float[1,16,8,8] y) <float[16,16,3,3] w>
        { c = Conv<pads=[1,1,1,1]>(x, w) s = Add(z, c) y = Relu(s) }"""
    )
    assert len(found) == 1 and isinstance(first, Convolution)
    assert (first.residual, first.activation.kind, first.y) == ("z", "relu", "y")


def test_what_others_read_stays_apart() -> None:
    found = operations(
        """(float[1,16,8,8] x) => (float[1,16,8,8] c, float[1,16,8,8] y) <float[16,16,1,1] w>
        { c = Conv(x, w) d = Conv(x, w) y = Add(c, d) }"""
    )
    assert [type(op).__name__ for op in found] == ["Convolution", "Convolution"]
    assert isinstance(found[1], Convolution) and found[1].residual == "c"


def test_a_flattened_map_is_read_as_it_lies() -> None:
    dense = operations(FLAT)[-1]
    assert isinstance(dense, Dense) and dense.x == "r"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(float[2,3] x) => (float[2,3] y) { y = Sinh(x) }", "Sinh"),
        ("(double[1,3,4,4] x) => (double[1,3,4,4] y) { y = Relu(x) }", "fp32"),
        ("(float[N,3,4,4] x) => (float[N,3,4,4] y) { y = Relu(x) }", "known size"),
        ("(float[1,4,4,4] x, float[4,4,1,1] w) => (float[1,4,4,4] y) { y = Conv(x, w) }", "constant"),
        ("(float[1,8,4,4] x) => (float[1,8,4,4] y) <float[8,4,1,1] w> { y = ConvTranspose<group=2>(x, w) }", "groups"),
    ],
)
def test_what_cannot_be_compiled_is_said(text: str, reason: str) -> None:
    found = lower(model_of_text(text))
    assert isinstance(found, Refusal) and reason in str(found)
    if reason == "known size":
        with pytest.raises(InputError, match="open"):
            compile_model(model_of_text(text))
        return
    facts = compile_model(model_of_text(text)).facts()
    assert facts["native_share"]["nodes"] == 0
    assert any(reason in f"{entry['op']} {entry['reason']}" for entry in facts["refused"])


def test_every_stage_can_be_looked_at() -> None:
    compiled = compile_model(model_of_text(BLOCK))
    texts = {stage: compiled.stage(stage) for stage in STAGES}
    assert "convolution(x)" in texts["lowered"] and "relu" in texts["lowered"]
    assert "arena" in texts["layout"] and "direct" in texts["schedule"]
    assert "define void @run" in texts["ir"] and "run" in texts["asm"]
    facts = compiled.facts()
    assert facts["native_share"]["nodes"] == 1.0 and facts["arena_bytes"] > 0
    assert {n for step in facts["steps"] for n in step["nodes"]}


DEEP = """(float[1,64,20,20] x) => (float[1,64,10,10] y) <float[64,64,3,3] w, float[64,64,3,3] v>
    { a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, v) d = Add(c, a)
      e = MaxPool<kernel_shape=[2,2], strides=[2,2]>(d) y = Conv<pads=[1,1,1,1]>(e, w) }"""


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_scratch_lies_where_no_living_value_does(threads: int) -> None:
    found, target = lower(model_of_text(DEEP)), host_target(threads=threads)
    assert isinstance(found, Lowered) and target is not None
    program = build(found, target)
    spans: dict[str, list[int]] = {}
    for number, step in enumerate(program.steps):
        for phase in step.phases:
            for operand in phase.operands:
                if operand.kind == "value":
                    spans.setdefault(operand.name, []).append(number)
    busy = [(number, step.scratch, step.scratch_bytes(threads)) for number, step in enumerate(program.steps)]
    assert any(size for _, _, size in busy)
    for number, start, size in busy:
        assert start + size <= program.arena
        for name, steps in spans.items():
            if size and min(steps) <= number <= max(steps):
                place = program.places[name]
                assert start + size <= place or place + 4 * program.maps[name].size <= start, (name, number)


SUMS = """(float[1,16,9,9] x) => (float[1,16,9,9] y) <float[16,16,1,1] w, float[16,16,1,1] v>
    { a = Conv(x, w) b = Conv(a, v) c = Add(b, a) d = Conv(c, w) e = Add(d, c) f = Sigmoid(e) g = Conv(f, v)
      h = Add(g, e) y = Mul(h, f) }"""


def test_sums_take_the_place_of_what_nobody_reads_again(tmp_path: Path) -> None:
    """Of `a`, read by the convolution itself too, `c` may not; of `c`, read for the last time, `e` may not either."""
    found, target = lower(model_of_text(SUMS)), host_target()
    assert isinstance(found, Lowered) and target is not None
    program = build(found, target)
    # h = conv(f) + e, and nobody reads e again
    assert program.places["h"] == program.places["e"]
    assert program.places["c"] != program.places["a"] and program.places["e"] != program.places["c"]
    model = BACKEND.load(written(SUMS, tmp_path), BACKEND.default(1))
    feed = {"x": np.random.default_rng(3).standard_normal((1, 16, 9, 9)).astype(np.float32)}
    with Worker(reference_candidate(), tmp_path / "model.onnx") as reference:
        expected = reference.run(feed)["y"]
    for _ in range(2):
        np.testing.assert_allclose(model.run(feed)["y"], expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    model.close()


def test_places_are_used_again_and_never_by_two_at_once() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        sizes = {f"v{i}": int(random.integers(1, 5000)) for i in range(20)}
        used = {}
        for i, name in enumerate(sizes):
            first = int(random.integers(0, i + 1))
            used[name] = (first, first + int(random.integers(0, 4)))
        places, total = place_values(sizes, used)
        assert total <= sum(-(-s // 64) * 64 for s in sizes.values())
        for a in sizes:
            assert places[a] % 64 == 0 and places[a] + sizes[a] <= total
            for b in sizes:
                together = used[a][0] <= used[b][1] and used[b][0] <= used[a][1]
                apart = places[a] + sizes[a] <= places[b] or places[b] + sizes[b] <= places[a]
                assert a == b or not together or apart
