"""Models with inputs of integers in the backend: transformer encoders, stages, open sizes, and what is wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.program import build
from rooftune.compiler.target import host_target
from rooftune.execute import tuning
from rooftune.execute.backend import Candidate, TensorSpec
from rooftune.execute.backends.native import BACKEND, NativeModel
from rooftune.execute.open_sizes import OpenSizesModel
from rooftune.graph.text import model_of_text

from .test_partitioned import agree, check, expected_of, in_stages, written

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

_VOCABULARY, _TOKENS, _WIDTH, _HEADS = 100, 12, 64, 4


def _encoder() -> Any:
    """Two layers of a small BERT: embeddings, attention with a mask, GELU, a pooler and a classifier."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Layer(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.out = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
            self.first, self.second = nn.Linear(_WIDTH, 4 * _WIDTH), nn.Linear(4 * _WIDTH, _WIDTH)
            self.norms = nn.ModuleList(nn.LayerNorm(_WIDTH) for _ in range(2))

        def forward(self, x: Any, mask: Any) -> Any:
            n, t, _ = x.shape
            heads = [p(x).view(n, t, _HEADS, -1).transpose(1, 2) for p in (self.query, self.key, self.value)]
            scores = heads[0] @ heads[1].transpose(-1, -2) / math.sqrt(_WIDTH // _HEADS) + mask
            seen = (torch.softmax(scores, -1) @ heads[2]).transpose(1, 2).reshape(n, t, _WIDTH)
            x = self.norms[0](x + self.out(seen))
            return self.norms[1](x + self.second(nn.functional.gelu(self.first(x))))

    class Encoder(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.types = nn.Embedding(_VOCABULARY, _WIDTH), nn.Embedding(2, _WIDTH)
            self.places, self.norm = nn.Embedding(64, _WIDTH), nn.LayerNorm(_WIDTH)
            self.layers = nn.ModuleList(Layer() for _ in range(2))
            self.pooler, self.classes = nn.Linear(_WIDTH, _WIDTH), nn.Linear(_WIDTH, 5)

        def forward(self, ids: Any, mask: Any, kinds: Any) -> Any:
            places = torch.arange(ids.shape[1]).unsqueeze(0)
            x = self.norm(self.tokens(ids) + self.places(places) + self.types(kinds))
            far = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
            for layer in self.layers:
                x = layer(x, far)
            return x, self.classes(torch.tanh(self.pooler(x[:, 0])))

    torch.manual_seed(0)
    return Encoder().eval()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The encoder exported for a batch."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    module, folder, made = _encoder(), tmp_path_factory.mktemp("encoder"), dict[int, Path]()

    def exported(batch: int) -> Path:
        if batch not in made:
            made[batch] = folder / f"encoder{batch}.onnx"
            given = tuple(torch.from_numpy(array) for array in _tokens(batch).values())
            names = list(_tokens(batch))
            with torch.no_grad():
                program = torch.onnx.export(module, given, input_names=names, dynamo=True, verbose=False)
            program.save(made[batch])
        return made[batch]

    return exported


def _tokens(batch: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    length = random.integers(1, _TOKENS + 1, batch)
    return {
        "ids": random.integers(0, _VOCABULARY, (batch, _TOKENS)),
        "mask": (np.arange(_TOKENS) < length[:, None]).astype(np.int64),
        "kinds": random.integers(0, 2, (batch, _TOKENS)),
    }


@pytest.mark.parametrize("batch", [1, 3])
def test_a_transformer_encoder_runs_natively_as_a_whole(batch: int, encoder: Callable[[int], Path]) -> None:
    path = encoder(batch)
    for threads in (1, 2):
        model = BACKEND.load(path, Candidate("native", {}, threads))
        assert isinstance(model, NativeModel), model.shares.to_json()
        assert model.shares.nodes == 1.0
        for name in ("ids", "mask", "kinds"):
            assert model.inputs[name] == TensorSpec("int64", (batch, _TOKENS))
        for seed in (1, 2):
            feed = _tokens(batch, seed)
            found, expected = model.run(feed), expected_of(path, feed)
            for name, wanted in expected.items():
                assert np.abs(found[name] - wanted).max() <= 1e-5 * np.abs(wanted).max()
        model.close()


def test_what_an_encoder_cannot_be_given_is_said(encoder: Callable[[int], Path]) -> None:
    model = BACKEND.load(encoder(1), Candidate("native", {}, 1))
    feed = _tokens(1)
    before = model.run(feed)
    for odd, said in (
        ({"ids": feed["ids"].astype(np.int32)}, r"input ids is int32\[1, 12\], expected int64\[1, 12\]"),
        ({"mask": feed["mask"].astype(np.float32)}, r"input mask is float32\[1, 12\], expected int64"),
        ({"kinds": feed["kinds"][:, :5]}, r"input kinds is int64\[1, 5\]"),
        ({"ids": np.full_like(feed["ids"], _VOCABULARY)}, "input ids holds 100, .* from -100 to 99"),
        ({"kinds": feed["kinds"] - 4}, "input kinds holds -[34], .* from -2 to 1"),
    ):
        with pytest.raises(ValueError, match=said):
            model.run(feed | odd)
    agree(model.run(feed), before)
    profile = model.profile(feed, 2)
    model.close()
    kinds = [kernel.type for kernel in profile.kernels]
    assert kinds.count("embedding") == 2 and kinds.count("convert") == 1 and "pack" not in kinds


INDEXED = """(float[1,4,6] x, int64[1,4] i) => (float[1,4,6] y) <float[9,6] t, float[6,6] w, float[6,6] v>
    { e = Gather(t, i) a = Add(e, x) b = MatMul(a, w) c = Asinh(b) y = MatMul(c, v) }"""


def test_a_native_stage_reads_integers_of_the_caller(tmp_path: Path) -> None:
    path = written(INDEXED, tmp_path)
    assert check(path) == [True, False, True]
    model = in_stages(path)
    assert "i" in model.stages[0].stage.inputs and model.inputs["i"] == TensorSpec("int64", (1, 4))
    feed = {"x": np.zeros((1, 4, 6), np.float32), "i": np.int64([[0, 8, -9, 1]])}
    agree(model.run(feed), expected_of(path, feed))
    with pytest.raises(ValueError, match="input i holds 9"):
        model.run(feed | {"i": np.int64([[0, 9, 0, 0]])})
    agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_integers_cross_into_a_native_stage(tmp_path: Path) -> None:
    path = written(
        """(float[2,4,6] x) => (float[2,4,16] y, float[2,4] f) <float[6,16] t, float[6,6] v, float[16,16] w>
        { a = MatMul(x, v) k = ArgMax<axis=2, keepdims=0>(a) e = Gather(t, k) y = MatMul(e, w) f = Cast<to=1>(k) }""",
        tmp_path,
    )
    assert check(path) == [True, False, True]
    model = in_stages(path)
    assert "k" in model.stages[2].stage.inputs
    model.close()


def test_views_of_integers_that_others_read_are_left_to_them(tmp_path: Path) -> None:
    """What a native stage reads may leave it as little as any other integer."""
    path = written(
        """(float[4,6] x, int64[4] i) => (float[2,2,6] y, int64[2,2] s, int64[2,2] u)
        <float[9,6] t, float[6,6] w, int64[2] sizes = {2, 2}>
        { u0 = Reshape(i, sizes) u = Identity(u0) s = Add(u, u) e = Gather(t, u) m = MatMul(e, w) y = Relu(m) }""",
        tmp_path,
    )
    sides = check(path)
    assert sides == [False, True]


def test_shapes_that_come_out_of_a_stage(tmp_path: Path) -> None:
    """Integers that say what a node does are not read natively, whoever made them."""
    path = written(
        """(float[2,3,4] x, int64[1] a) => (float[2,3,4] y, float[2,1,4] z) <float[4,4] w>
        { m = MatMul(x, w) b = Abs(a) z = ReduceMax<axes=[1]>(m) s = ReduceSum(m, b) y = Sub(m, s) }""",
        tmp_path,
    )
    model = in_stages(path)
    feed = {"x": np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32), "a": np.int64([-1])}
    for axis in (1, 2):
        feed["a"] = np.int64([axis])
        agree(model.run(feed), expected_of(path, feed))
    model.close()


def test_open_sizes_of_tokens(tmp_path: Path) -> None:
    path = written(
        """(int64[N,T] i, int64[N,T] m) => (float[N,T,8] y) <float[9,6] t, float[6,8] w>
        { e = Gather(t, i) f = Cast<to=1>(m) axes = Constant<value_ints=[2]>() u = Unsqueeze(f, axes) g = Mul(e, u)
          y = MatMul(g, w) }""",
        tmp_path,
    )
    model = BACKEND.load(path, Candidate("native", {}, 1))
    assert isinstance(model, OpenSizesModel) and model.inputs["i"].dtype == "int64"
    random = np.random.default_rng(0)
    feed = {"i": random.integers(-9, 9, (2, 5)), "m": random.integers(0, 2, (2, 5))}
    for _ in range(4):
        agree(model.run(feed), expected_of(path, feed))
        assert model.settle()
    assert model.shares.nodes == 1.0 and len(model.compiled) == 1
    agree(model.run(feed), expected_of(path, feed))
    with pytest.raises(ValueError, match="input i holds 9"):
        model.run(feed | {"i": np.full((2, 5), 9)})
    model.close()


def test_tuning_gives_integers_that_every_table_has() -> None:
    text = """(int64[1,64] i, bool[1,64] m) => (float[1,64,32] y) <float[3,32] t, float[32,32] w>
        { e = Gather(t, i) f = Cast<to=1>(m) axes = Constant<value_ints=[2]>() u = Unsqueeze(f, axes) g = Mul(e, u)
          y = MatMul(g, w) }"""
    found, target = lower(model_of_text(text)), host_target()
    assert isinstance(found, Lowered) and target is not None

    class Forgetful:
        def get(self, key: str) -> Any | None:
            return None

        def put(self, key: str, value: Any) -> None:
            self.kept = key, value

    store = Forgetful()
    tuner = tuning.Tuner(lambda programs, node: [1.0] * len(programs), store, "x", time.monotonic, 5.0)
    assert tuning.tuned_program(found, target, tuner).integers == {"i": "int64", "m": "bool"}
    assert store.kept[0].startswith("whole ")
    program = build(found, target)
    tuner.left = 60.0
    raced = tuning._step_seconds(program, program, target, tuner)
    assert raced is not None and [len(seconds) for seconds in raced] == [len(program.steps)] * 2
    tuner.left = 0.0
    assert tuning._step_seconds(program, program, target, tuner) is None and tuner.cut_short


def test_inputs_that_nobody_reads_keep_their_type(tmp_path: Path) -> None:
    path = written(
        "(float[1,4,6,6] x, int32[2] idle) => (float[1,4,6,6] y) <float[4,4,1,1] w> { y = Conv(x, w) }", tmp_path
    )
    model = BACKEND.load(path, Candidate("native", {}, 1))
    assert isinstance(model, NativeModel) and model.inputs["idle"] == TensorSpec("int32", (2,))
    feed = {"x": np.ones((1, 4, 6, 6), np.float32), "idle": np.int32([5, 6])}
    agree(model.run(feed), expected_of(path, feed))
    with pytest.raises(ValueError, match="idle"):
        model.run(feed | {"idle": np.int64([5, 6])})
    model.close()


def test_an_output_of_integers_is_left_to_others(tmp_path: Path) -> None:
    path = written(
        """(float[1,4] x, int64[1,4] i) => (float[1,4,6] y, int64[1,4] j) <float[9,6] t, float[6,6] w>
        { j = Identity(i) e = Gather(t, i) y = MatMul(e, w) }""",
        tmp_path,
    )
    proto = onnx.load(path)
    assert [v.name for v in proto.graph.output] == ["y", "j"]
    assert True in check(path)
