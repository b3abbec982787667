"""Rewriting through the pipeline: proof, refusal to ship what is wrong, and the race beside the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import rooftune
from rooftune.errors import ConstraintNotMet
from rooftune.graph.load import load
from rooftune.graph.save import save_graph
from rooftune.graph.text import model_of_text
from rooftune.machine.devices import find_machine
from rooftune.pipeline import rewrite as module
from rooftune.pipeline.rewrite import rewrite_graph
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Replacement, Rule
from rooftune.verdicts import Exactness

BRANCHES = """(float[1,8,16,16] x) => (float[1,8,16,16] y)
    <float[8,8,3,3] w, float[8,8,1,1] v, float[8] s, float[8] b, float[8] m, float[8] var>
    { big = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(big, s, b, m, var)
      small = Conv(x, v) sum = Add(n, small) all = Add(sum, x) y = Relu(all) }"""

BEST = """(float[4,6] x) => (int64[4,1] best) <float[6,5] w, float[5] s, float[5] b>
    { p = MatMul(x, w) q = Mul(p, s) r = Add(q, b) best = ArgMax<axis=1>(r) }"""


def written(text: str, folder: Path) -> Path:
    return save_graph(model_of_text(text).ir, folder / "model.onnx")


def test_a_block_of_branches_is_written_as_one_convolution(tmp_path: Path) -> None:
    outcome = rewrite_graph(written(BRANCHES, tmp_path), tmp_path / "small.onnx", machine="raspberry-pi-5", check=True)
    assert [n.op_type for n in load(tmp_path / "small.onnx").nodes] == ["Conv", "Relu"]
    facts = outcome.record.rewrite
    assert facts is not None and (facts["nodes_before"], facts["nodes_after"]) == (6, 2)
    assert outcome.proof is not None and outcome.proof.verification.passed
    assert facts["totals_after"]["flops"] < facts["totals_before"]["flops"]


def test_choices_are_compared_by_their_scores(tmp_path: Path) -> None:
    outcome = rewrite_graph(written(BEST, tmp_path), machine="raspberry-pi-5")
    assert outcome.proof is not None
    assert [c.name for c in outcome.proof.verification.outputs] == ["r"]
    assert outcome.proof.verification.passed


class _Wrong(Rule):
    """Take a tenth of a convolution's first weight away."""

    pattern = "conv=Conv(x, w!)"
    exactness = Exactness.REASSOCIATES
    examples = ()

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Conv(m.x, new.derive(lambda w: w * 0.999, m.w), like=m.conv)

    def find(self, node):  # type: ignore[no-untyped-def]
        return None if (node.name or "").startswith("wrong") else super().find(node)


def test_a_wrong_rewrite_is_not_written_and_its_operator_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of_text(BRANCHES)
    for node in model.nodes:
        node.name = f"the_{node.outputs[0].name}"
    source = save_graph(model.ir, tmp_path / "model.onnx")
    once = {"left": 1}

    class Once(_Wrong):
        """Take it away once."""

        def guard(self, m: Match) -> None:
            return None

        def find(self, node):  # type: ignore[no-untyped-def]
            if node.name != "the_small" or not once["left"]:
                return None
            found = super().find(node)
            once["left"] -= found is not None
            return found

    monkeypatch.setattr(module, "choose_steps", lambda only, skip: (Once(),))
    with pytest.raises(ConstraintNotMet, match="the_small"):
        rewrite_graph(source, tmp_path / "out.onnx", machine="raspberry-pi-5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx"]


def test_a_constant_output_proves_nothing(tmp_path: Path) -> None:
    text = "(float[2,3] x) => (float[2,3] y) <float zero = {0.0}> { i = Identity(x) t = Mul(i, zero) y = Exp(t) }"
    source = written(text, tmp_path)
    with pytest.raises(ConstraintNotMet, match="constant"):
        rewrite_graph(source, tmp_path / "out.onnx", machine="raspberry-pi-5")
    assert not (tmp_path / "out.onnx").exists()
    assert rewrite_graph(source, tmp_path / "out.onnx", machine="raspberry-pi-5", verified=False).path is not None
    assert (tmp_path / "out.onnx").exists()


def test_optimize_races_the_rewritten_graph_and_leaves_one_model(tmp_path: Path) -> None:
    source = written(BRANCHES, tmp_path)
    outcome = rooftune.optimize(source, tmp_path / "out", budget=4.0, threads=1, machine=find_machine("raspberry-pi-5"))
    step = next(s for s in outcome.record.steps if s.kind == "rewrite")
    assert step.predicted_gain is not None and step.predicted_gain > 1
    assert step.measured_gain is not None and step.reason
    assert any(c.name.endswith("rewritten") for c in outcome.record.candidates)
    assert outcome.record.rewrite is not None and outcome.record.rewrite["nodes_after"] == 2
    assert [p.name for p in (tmp_path / "out").glob("*.onnx")] == ["model.onnx"]
    assert len(load(tmp_path / "out/model.onnx").ir.graph) == (2 if step.kept else 6)
    x = np.random.default_rng(0).standard_normal((1, 8, 16, 16)).astype(np.float32)
    answer = rooftune.load(tmp_path / "out")({"x": x})["y"]
    assert answer.shape == (1, 8, 16, 16)


def test_optimize_without_rewriting(tmp_path: Path) -> None:
    source = written(BRANCHES, tmp_path)
    machine = find_machine("raspberry-pi-5")
    outcome = rooftune.optimize(source, tmp_path / "out", budget=2.0, threads=1, machine=machine, rewrite=False)
    assert outcome.record.rewrite is None
    assert not any(s.kind == "rewrite" for s in outcome.record.steps)


def _with_defaults() -> onnx.ModelProto:
    """Sizes that follow from an initialiser which is an input as well, and a factor of that kind."""
    make, kind = onnx.helper, onnx.TensorProto
    nodes = [
        make.make_node("Reshape", ["x", "sizes"], ["r"]),
        make.make_node("Shape", ["r"], ["s"]),
        make.make_node("Cast", ["s"], ["f"], to=kind.FLOAT),
        make.make_node("Mul", ["f", "factor"], ["g"]),
        make.make_node("Mul", ["g", "two"], ["y"]),
    ]
    inputs = [("x", kind.FLOAT, [2, 6]), ("sizes", kind.INT64, [2]), ("factor", kind.FLOAT, [])]
    weights = {"sizes": np.int64([3, 4]), "factor": np.float32(0.5), "two": np.float32(2)}
    graph = make.make_graph(
        nodes,
        "defaults",
        [make.make_tensor_value_info(*i) for i in inputs],
        [make.make_tensor_value_info("y", kind.FLOAT, [2]), make.make_tensor_value_info("r", kind.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def test_what_callers_may_replace_is_no_constant(tmp_path: Path) -> None:
    source, out = tmp_path / "model.onnx", tmp_path / "small.onnx"
    onnx.save(_with_defaults(), source)
    outcome = rewrite_graph(source, out, machine="raspberry-pi-5")
    facts = outcome.record.rewrite
    assert facts is not None and any("sizes, factor" in note for note in facts["notes"])
    feed = {"x": np.arange(12, dtype=np.float32).reshape(2, 6)}
    others = {**feed, "sizes": np.int64([6, 2]), "factor": np.asarray(3, np.float32)}
    answers = []
    for path in (source, out):
        session = onnxruntime.InferenceSession(path)
        answers.append([session.run(None, given) for given in (feed, others)])
    for expected, found in zip(*answers, strict=True):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    assert answers[1][1][0].tolist() == [36, 12]
