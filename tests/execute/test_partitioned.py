"""Models that run in stages: whatever crosses, whoever reads it, and however many run them at once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto, helper, numpy_helper

from rooftune.compiler.lower import lower
from rooftune.compiler.target import host_target
from rooftune.execute import divide as dividing
from rooftune.execute.backend import Candidate, LoadedModel
from rooftune.execute.backends.native import BACKEND, Elsewhere, NativeModel
from rooftune.execute.backends.onnxruntime import BACKEND as ONNXRUNTIME
from rooftune.execute.backends.onnxruntime import OnnxRuntimeModel, reference_candidate
from rooftune.execute.divide import divide
from rooftune.execute.fallback import FallbackStage
from rooftune.execute.inputs import random_inputs
from rooftune.execute.partitioned import PartitionedModel
from rooftune.graph import save
from rooftune.graph.load import load
from rooftune.verdicts import Refusal
from tests.rewrite.random_graphs import graphs

from . import models

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

ALWAYS = {"partition": "always", "winograd": True}
"""Cut wherever there is a kernel: what pays on one machine need not on another."""

ODD = "Asinh"
"""An operator without a kernel."""


def written(text: str, folder: Path, domain: str = "", function: str = "", opset: int = 17) -> Path:
    """A graph in ONNX's text form as a file; values declared between < > without numbers are drawn."""
    imports = f'"" : {opset}' + (f', "{domain}" : 1' if domain else "")
    proto = onnx.parser.parse_model(
        f"<ir_version: {8 if opset < 21 else 10}, opset_import: [{imports}]> example {text}\n{function}"
    )
    made = {name for node in proto.graph.node for name in node.output}
    random = np.random.default_rng(3)
    for info in proto.graph.value_info:
        assert info.name not in made
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        drawn = random.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(drawn, info.name))
    del proto.graph.value_info[:]
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return path


def in_stages(path: Path, threads: int = 1, **settings: Any) -> PartitionedModel:
    model = BACKEND.load(path, Candidate("native", {**ALWAYS, **settings}, threads))
    assert isinstance(model, PartitionedModel), model
    return model


def expected_of(path: Path, feed: Mapping[str, Any]) -> dict[str, Any]:
    reference = ONNXRUNTIME.load(path, reference_candidate())
    try:
        return reference.run(feed)
    finally:
        reference.close()


def agree(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        if not isinstance(wanted, np.ndarray):
            assert type(found[name]) is type(wanted)
            continue
        assert found[name].dtype == wanted.dtype and found[name].shape == wanted.shape
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max(initial=0.0))
        else:
            np.testing.assert_array_equal(found[name], wanted)


def check(path: Path, threads: int = 1, **settings: Any) -> list[bool]:
    """A model in stages gives what ONNX Runtime gives; which of the stages are native."""
    model = in_stages(path, threads, **settings)
    try:
        for seed in (1, 2):
            feed = random_inputs(model.inputs, seed=seed)
            agree(model.run(feed), expected_of(path, feed))
        return [one.stage.native for one in model.stages]
    finally:
        model.close()


CONVOLUTIONS = f"""(float[1,3,12,10] x) => (float[1,8,6,5] y, float[1,8,12,10] b)
    <float[8,3,3,3] v, float[8,8,3,3] w>
    {{ a = Conv<pads=[1,1,1,1]>(x, v) b = Relu(a) c = {ODD}(b) d = Conv<pads=[1,1,1,1]>(c, w)
       e = Add(d, b) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(e) }}"""


@pytest.mark.parametrize("threads", [1, 2])
def test_stages_alternate_and_agree_with_the_reference(threads: int, tmp_path: Path) -> None:
    assert check(written(CONVOLUTIONS, tmp_path), threads) == [True, False, True]


def test_what_runs_where_and_why_is_said(tmp_path: Path) -> None:
    model = in_stages(written(CONVOLUTIONS, tmp_path))
    model.close()
    said = model.shares.to_json()
    assert said["native_share"]["nodes"] == pytest.approx(5 / 6)
    assert 0 < said["native_share"]["time"] < 1
    assert [r["op"] for r in said["refused"]] == ["Asinh"] and said["refused"][0]["reason"]
    assert [cut["bytes"] for cut in said["cuts"]] == [4 * 8 * 12 * 10, 2 * 4 * 8 * 12 * 10]
    assert all(cut["seconds"] > 0 for cut in said["cuts"])


def test_islands_that_do_not_pay_are_left_out(tmp_path: Path) -> None:
    """A Relu between two operators without a kernel saves less than the way to it and back."""
    path = written(
        f"(float[1,8,64,64] x) => (float[1,8,64,64] y) {{ a = {ODD}(x) b = Relu(a) y = {ODD}(b) }}", tmp_path
    )
    assert check(path) == [False, True, False]
    paying = divide(load(path))
    assert not paying.native and "costs" in {r.op: r.reason for r in paying.shares.refused}["Relu"]
    refusal = BACKEND.refuses(load(path))
    assert refusal is not None and refusal.at
    model = BACKEND.load(path, BACKEND.default(1))
    assert isinstance(model, Elsewhere) and model.shares.nodes == 0.0
    model.close()


def test_heavy_parts_pay_for_their_cuts(tmp_path: Path) -> None:
    path = written(
        f"""(float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] v, float[64,64,3,3] w>
        {{ a = Conv<pads=[1,1,1,1]>(x, v) b = Conv<pads=[1,1,1,1]>(a, w) y = {ODD}(b) }}""",
        tmp_path,
    )
    assert [part.stage.native for part in divide(load(path)).parts] == [True, False]
    assert BACKEND.refuses(load(path)) is None


def test_cutting_can_be_forbidden(tmp_path: Path) -> None:
    path = written(CONVOLUTIONS, tmp_path)
    model = BACKEND.load(path, Candidate("native", {"partition": False}, 1))
    assert isinstance(model, Elsewhere) and "Asinh" in {r.op for r in model.shares.refused}
    feed = random_inputs(model.inputs)
    agree(model.run(feed), expected_of(path, feed))
    model.close()
    whole = BACKEND.load(models.convolutions(tmp_path / "whole.onnx"), Candidate("native", {"partition": False}, 1))
    assert isinstance(whole, NativeModel) and whole.shares.nodes == 1.0
    whole.close()


def test_values_of_other_types_cross_between_others(tmp_path: Path) -> None:
    sides = check(
        written(
            """(float[1,6,8,8] x, int64[1] i, bool[1,6,8,8] m) => (float[1,6,8,8] y, int64[1,1,8,8] k, bool[1,6,8,8] n)
            <float[6,6,1,1] v, float[6,6,3,3] w, int64[1] s = {2}>
            { a = Conv(x, v) n0 = Less(a, x) n = And(n0, m) k = ArgMax<axis=1>(a) j = Add(i, s) f = Cast<to=1>(j)
              t = Where(n, a, x) c = Conv<pads=[1,1,1,1]>(t, w) g = Add(k, j) h = Cast<to=1>(g)
              r = Relu(c) q = Atan(r) y = Sub(q, h) }""",
            tmp_path,
        )
    )
    assert sides == [True, False, True, False, True]


def test_graphs_inside_nodes_read_what_native_stages_make(tmp_path: Path) -> None:
    """A branch reads a native value, an input and a constant that the node itself does not name."""
    branches = """then_branch = then () => (float[1,4,5,5] p) { p = Atan(a) },
        else_branch = other () => (float[1,4,5,5] q) { o = Mul(a, x) q = Add(o, bias) }"""
    path = written(
        f"""(float[1,4,5,5] x, bool c) => (float[1,4,5,5] y) <float[4,4,1,1] v, float[4,1,1] bias, float[4,4,3,3] w>
        {{ a = Conv(x, v) b = If(c)<{branches}> d = Conv<pads=[1,1,1,1]>(b, w) y = Relu(d) }}""",
        tmp_path,
    )
    model = in_stages(path)
    assert [one.stage.native for one in model.stages] == [True, False, True]
    assert set(model.stages[1].stage.inputs) >= {"a", "x", "c"}
    for choice in (True, False):
        feed = {**random_inputs(model.inputs), "c": np.array(choice)}
        agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_nodes_that_come_out_of_a_branch_without_names(tmp_path: Path) -> None:
    branches = f"""then_branch = then () => (float[1,4,6,6] p)
            {{ a = Conv(x, v) b = {ODD}(a) c = Conv(b, v) d = {ODD}(c) p = Relu(d) }},
        else_branch = other () => (float[1,4,6,6] q) {{ q = Identity(x) }}"""
    path = written(
        f"""(float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,1,1] v, bool yes = {{1}}>
        {{ i = If(yes)<{branches}> y = Conv(i, v) }}""",
        tmp_path,
    )
    assert check(path) == [True, False, True, False, True]


def test_functions_of_the_model_stay_callable(tmp_path: Path) -> None:
    function = """<domain: "own", opset_import: ["" : 17]> odd (u) => (r) { s = Atan(u) r = Atan(s) }"""
    path = written(
        """(float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,1,1] v, float[4,4,3,3] w>
        { a = Conv(x, v) b = own.odd(a) y = Conv<pads=[1,1,1,1]>(b, w) }""",
        tmp_path,
        "own",
        function,
    )
    assert check(path) == [True, False, True]


def test_a_sequence_lives_on_over_a_native_stage(tmp_path: Path) -> None:
    path = written(
        """(float[1,4,6,6] x, int64 i) => (float[1,4,6,6] y, float[1,4,6,6] z) <float[4,4,1,1] v, float[4,4,3,3] w>
        { e = SequenceEmpty() u = Atan(x) e1 = SequenceInsert(e, u) e2 = SequenceInsert(e1, x)
          a = Conv(u, v) b = Relu(a) c = Asinh(b)
          e3 = SequenceInsert(e2, c) y = SequenceAt(e3, i) z = Conv<pads=[1,1,1,1]>(c, w) }""",
        tmp_path,
    )
    model = in_stages(path)
    assert [one.stage.native for one in model.stages] == [False, True, False, True]
    feed = {**random_inputs(model.inputs), "i": np.array(0)}
    agree(model.run(feed), expected_of(path, feed))
    model.close()


@pytest.mark.parametrize("number", [1, 10, 11, 16, 3, 7, 9])
def test_any_element_type_crosses_between_others(number: int, tmp_path: Path) -> None:
    path = written(
        f"""(float[1,4,6,6] x) => (float[1,4,6,6] y, float[1,4,6,6] z) <float[4,4,1,1] v, float[4,4,3,3] w>
        {{ s = Asinh(x) h = Cast<to={number}>(s) a = Conv(s, v) b = Relu(a) c = Asinh(b) g = Cast<to=1>(h)
          z = Add(g, c) y = Conv<pads=[1,1,1,1]>(c, w) }}""",
        tmp_path,
    )
    assert check(path) == ([False, True, False, True])


def test_what_the_engine_cannot_hand_over_is_not_cut(tmp_path: Path) -> None:
    """Four-bit numbers exist inside the engine only, so the model stays in one piece."""
    path = written(
        """(float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,1,1] v, float s = {0.5}, int4 o = {0}>
        { q = QuantizeLinear(x, s, o) u = Atan(x) a = Conv(u, v) b = Relu(a) c = Asinh(b) r = ReduceMax<keepdims=0>(c)
          d = DequantizeLinear(q, r, o) y = Add(c, d) }""",
        tmp_path,
        opset=21,
    )
    model = BACKEND.load(path, Candidate("native", ALWAYS, 1))
    assert isinstance(model, Elsewhere) and "cannot be cut" in model.shares.refused[0].reason
    feed = random_inputs(model.inputs)
    agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_strings_cross_between_others(tmp_path: Path) -> None:
    path = written(
        """(float[1,4,6,6] x, string[2] s) => (float[1,4,6,6] y, string[2] r, string[4] t)
        <float[4,4,1,1] v, float[4,4,3,3] w>
        { r = Identity(s) u = Atan(x) q = Concat<axis=0>(r, s) a = Conv(u, v) b = Relu(a) c = Asinh(b)
          t = Identity(q) y = Conv<pads=[1,1,1,1]>(c, w) }""",
        tmp_path,
    )
    model = in_stages(path)
    feed = {"x": random_inputs({"x": model.inputs["x"]})["x"], "s": np.array(["one", "two"], object)}
    agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_an_optional_crosses_between_others(tmp_path: Path) -> None:
    path = written(
        """(float[1,4,6,6] x) => (float[1,4,6,6] y, bool h) <float[4,4,1,1] v, float[4,4,3,3] w>
        { s = Atan(x) o = Optional(s) a = Conv(s, v) b = Relu(a) c = Asinh(b) g = OptionalGetElement(o)
          h = OptionalHasElement(o) d = Add(c, g) y = Conv<pads=[1,1,1,1]>(d, w) }""",
        tmp_path,
    )
    assert True in check(path)


def test_outputs_that_nobody_computes(tmp_path: Path) -> None:
    """An input that is handed on, a constant, one value under two names."""
    path = written(
        f"""(float[1,4,6,6] x) => (float[1,4,6,6] x2, float[4] k2, float[1,4,6,6] y, float[1,4,6,6] z)
        <float[4,4,3,3] w, float[4] k>
        {{ x2 = Identity(x) k2 = Identity(k) a = {ODD}(x) y = Conv<pads=[1,1,1,1]>(a, w) z = Identity(y) }}""",
        tmp_path,
    )
    assert check(path) == [False, True] or True in check(path)
    model = in_stages(path)
    feed = random_inputs(model.inputs)
    first = model.run(feed)
    first["x2"][:], first["k2"][:] = 7, 7
    agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_inputs_that_nobody_reads_are_asked_for_all_the_same(tmp_path: Path) -> None:
    path = written(
        "(float[1,4,6,6] x, double[2] idle) => (float[1,4,6,6] y) <float[4,4,1,1] w> { y = Conv(x, w) }", tmp_path
    )
    model = in_stages(path)
    assert list(model.inputs) == ["x", "idle"] and model.inputs["idle"].dtype == "float64"
    assert [one.stage.native for one in model.stages] == [True] and model.shares.nodes == 1.0
    feed = random_inputs(model.inputs)
    agree(model.run(feed), expected_of(path, feed))
    with pytest.raises(ValueError, match="idle"):
        model.run({"x": feed["x"]})
    model.close()


def test_inputs_with_defaults_are_constants(tmp_path: Path) -> None:
    path = written(CONVOLUTIONS, tmp_path)
    proto = onnx.load(path)
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [8, 8, 3, 3]))
    onnx.save(proto, path)
    model = in_stages(path)
    assert list(model.inputs) == ["x"]
    model.close()
    assert check(path) == [True, False, True]


def test_weights_that_are_inputs_with_defaults_are_compiled_in(tmp_path: Path) -> None:
    path = written("(float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,1,1] w> { y = Conv(x, w) }", tmp_path)
    proto = onnx.load(path)
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 4, 1, 1]))
    onnx.save(proto, path)
    model = BACKEND.load(path, Candidate("native", {}, 1))
    assert isinstance(model, NativeModel) and list(model.inputs) == ["x"]
    feed = random_inputs(model.inputs)
    agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_large_weights_go_through_a_folder_that_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(
        """(float[1,8,6,6] x) => (float[1,8,6,6] y) <float[8,8,3,3] v, float[6,6] big>
        { a = Conv<pads=[1,1,1,1]>(x, v) y = Einsum<equation = "abcd,de->abce">(a, big) }""",
        tmp_path,
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(save, "INLINE_LIMIT", 0)
    monkeypatch.setattr(save, "KEEP_INLINE", 0)
    model = in_stages(path)
    assert not list(scratch.iterdir())
    feed = random_inputs(model.inputs)
    agree(model.run(feed), expected_of(path, feed))
    model.profile(feed, 2)
    assert not list(scratch.iterdir())
    model.close()


def test_what_lowering_refuses_late_changes_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lists what has no kernel beforehand: every part that is refused is parted again."""
    monkeypatch.setattr(dividing, "refusals", lambda model: {})
    path = written(CONVOLUTIONS, tmp_path)
    assert check(path) == [True, False, True]
    found = divide(load(path), give_back=False)
    assert [r.op for r in found.shares.refused] == ["Asinh"]


@pytest.mark.parametrize("at", ["x", "y", "a", "nowhere"])
def test_a_refusal_about_a_value_moves_those_around_it(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def stubborn(model: Any) -> Any:
        names = [v.name for n in model.ir.graph for v in (*n.inputs, *n.outputs) if v is not None]
        if at in names or at == "nowhere":
            refused.append(at)
            return Refusal("it is not liked", at)
        return lower(model)

    path = written(CONVOLUTIONS, tmp_path)
    monkeypatch.setattr(dividing, "lower", stubborn)
    found = divide(load(path), give_back=False)
    assert refused and "it is not liked" in {r.reason for r in found.shares.refused}
    assert found.native is (at != "nowhere")


def test_threads_of_other_stages_do_not_spin(tmp_path: Path) -> None:
    model = in_stages(written(CONVOLUTIONS, tmp_path), 2)
    (other,) = [one.model for one in model.stages if not one.stage.native]
    assert isinstance(other, FallbackStage) and isinstance(other._loaded, OnnxRuntimeModel)
    options = other._loaded._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.intra_op_num_threads == 2
    model.close()


def test_several_threads_run_one_model(tmp_path: Path) -> None:
    path = written(CONVOLUTIONS, tmp_path)
    model = in_stages(path, 2)
    feeds = [random_inputs(model.inputs, seed=seed) for seed in range(8)]
    expected = [expected_of(path, feed) for feed in feeds]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(model.run, feeds), expected, strict=True):
                agree(found, wanted)
    model.close()


def test_wrong_inputs_are_errors_in_words(tmp_path: Path) -> None:
    path = written(CONVOLUTIONS, tmp_path)
    model = in_stages(path)
    image = np.ones((1, 3, 12, 10), np.float32)
    with pytest.raises(ValueError, match="z"):
        model.run({"x": image, "z": image})
    with pytest.raises(ValueError, match="x"):
        model.run({})
    with pytest.raises(ValueError, match=r"x is float32\[1, 3, 12, 9\], expected float32\[1, 3, 12, 10\]"):
        model.run({"x": image[..., 1:]})
    with pytest.raises(ValueError, match="float64"):
        model.run({"x": image.astype(np.float64)})
    model.close()
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model.run({"x": image})


def test_closing_waits_for_nobody_and_breaks_nothing(tmp_path: Path) -> None:
    path = written(CONVOLUTIONS, tmp_path)
    model = in_stages(path)
    feed = random_inputs(model.inputs)
    wanted, started = expected_of(path, feed), threading.Barrier(4)

    def hammer() -> str:
        started.wait()
        try:
            for _ in range(2000):
                agree(model.run(feed), wanted)
        except RuntimeError as why:
            return str(why)
        return "never closed"

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(hammer) for _ in range(3)]
        started.wait()
        model.close()
        assert {one.result() for one in running} == {"the model is closed"}


def test_profiles_speak_of_the_nodes_given(tmp_path: Path) -> None:
    path = written(CONVOLUTIONS, tmp_path)
    model = in_stages(path)
    profile = model.profile(random_inputs(model.inputs), 6)
    model.close()
    owners = [
        node for kernel in profile.kernels if kernel.how not in ("layout", "neighbour") for node in kernel.source_nodes
    ]
    assert set(owners) == {node.name for node in load(path).nodes}
    assert profile.kernel_seconds + profile.residual_seconds == pytest.approx(profile.model_seconds, rel=1e-6)
    assert {kernel.name.split()[1] for kernel in profile.kernels} == {"0", "1", "2"}
    assert 0 < model.shares.to_json()["native_share"]["time"] < 1


def test_a_stage_that_cannot_be_profiled_counts_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no profile today")

    model = in_stages(written(CONVOLUTIONS, tmp_path))
    monkeypatch.setattr("rooftune.execute.fallback.FallbackStage.profile", broken)
    profile = model.profile(random_inputs(model.inputs), 3)
    model.close()
    (alone,) = [kernel for kernel in profile.kernels if kernel.type == "stage"]
    assert len(alone.source_nodes) == 1 and alone.seconds > 0


def test_an_operator_that_nobody_knows_is_refused_by_name(custom_operator: Path) -> None:
    with pytest.raises(Exception, match="Frobnicate"):
        BACKEND.load(custom_operator, Candidate("native", ALWAYS, 1))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_random_graphs(proto: onnx.ModelProto) -> None:
    holds(proto)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(most=20))
def test_many_random_graphs(proto: onnx.ModelProto) -> None:
    holds(proto)


def holds(proto: onnx.ModelProto) -> None:
    """A graph cut wherever it can be gives what the reference gives, but for rounding.

    Where a graph cancels, the rounding of numbers on the way is all that is left. Kernels have stricter tests of
    their own; a value that crosses to the wrong place is off by far more.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(proto, path)
        model: LoadedModel = BACKEND.load(path, Candidate("native", {"partition": "always", "winograd": False}, 1))
        feed = random_inputs(model.inputs)
        expected, found = expected_of(path, feed), model.run(feed)
        model.close()
        largest = largest_on_the_way(proto, path, feed)
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert found[name].shape == wanted.shape
        if np.isfinite(wanted).all() and np.isfinite(largest):
            allowed = 1e-2 * np.abs(wanted).max(initial=0.0) + 1e-4 * largest
            assert np.abs(found[name] - wanted).max(initial=0.0) <= allowed, name


def largest_on_the_way(proto: onnx.ModelProto, path: Path, feed: Mapping[str, Any]) -> float:
    """The largest number that any node makes."""
    copy = onnx.ModelProto.FromString(proto.SerializeToString())
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for node in copy.graph.node for name in node.output if name)
    onnx.save(copy, path)
    made = [value for value in expected_of(path, feed).values() if value.dtype.kind == "f"]
    return float(max((np.abs(value).max(initial=0.0) for value in made), default=0.0))
