"""`rooftune rewrite` and `rooftune rules` as a user runs them: JSON, files, proof, explanations, and their errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from rooftune.machine.spec import Machine
from rooftune.report import rewriting
from rooftune.rewrite.order import ORDER, all_steps

from .. import models
from .running import Ended, InProcess, names, shell

XEON = ("--machine", "intel-xeon-platinum-8480plus")
FOLD = "fold_batchnorm_into_conv"


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tests run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.fixture(scope="module")
def rewritten(conv_net: Path, host: Machine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """The small network rewritten for this computer, as a user does it, in a process of its own."""
    out = tmp_path_factory.mktemp("rewritten") / "smaller.onnx"
    return out, shell("rewrite", conv_net, "-o", out, "--json")


def run(path: Path | str, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    result: list[np.ndarray] = session.run(None, feed)
    return result


def operators(path: Path | str) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def branched() -> str:
    """A convolution whose own output is asked for, so that the normalisation behind it must stay."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], name="norm"),
        helper.make_node("Relu", ["n"], ["y"], name="relu"),
    ]
    weights = [models.weight("w", 4, 3, 3, 3), *(models.weight(n, 4, seed=i) for i, n in enumerate("gbm"))]
    weights.append(onnx.numpy_helper.from_array(np.full(4, 2, np.float32), "v"))
    shapes = {"y": [1, 4, 6, 6], "c": [1, 4, 6, 6]}
    outputs = [models.value(name, shape) for name, shape in shapes.items()]
    onnx.save(models.model(nodes, [models.value("x", [1, 3, 8, 8])], outputs, weights), "branched.onnx")
    return "branched.onnx"


def one_error(ended: Ended, code: int) -> str:
    """The last line of standard error, which is the only one that complains."""
    assert ended.code == code, ended.err
    assert ended.out == ""
    *stages, line = ended.err.splitlines()
    assert all(stage.startswith("rooftune: ") and "error" not in stage for stage in stages)
    assert line.startswith("rooftune: error: ")
    assert " — " in line, "a cause and a remedy"
    return line


def test_it_prints_one_json_object_with_the_promised_keys(rewritten: tuple[Path, Ended], conv_net: Path) -> None:
    out, ended = rewritten
    assert ended.code == 0, ended.err
    found = ended.json
    assert found["nodes_before"] == len(operators(conv_net))
    assert found["nodes_after"] == len(operators(out)) < found["nodes_before"]
    for row in found["applied"]:
        assert row.keys() >= {"rule", "count", "nodes"}
        assert row["count"] == len(row["nodes"]) > 0
        assert row["rule"] in all_steps()
    assert FOLD in [row["rule"] for row in found["applied"]]
    for row in found["refused"]:
        assert row.keys() >= {"rule", "node", "reason"}
        assert row["reason"]
    assert found["verification"]["passed"] is True
    assert 0 <= found["verification"]["max_relative_error"] <= 1e-5
    assert found["out"] == str(out)
    assert found["kind"] == "rewrite"
    assert found["rewrite"]["changes"]


def test_the_written_model_gives_the_same_answers(rewritten: tuple[Path, Ended], conv_net: Path) -> None:
    out, _ = rewritten
    assert names(out.parent) == [out.name], "nothing is left beside it"
    onnx.checker.check_model(str(out), full_check=True)
    assert "BatchNormalization" not in operators(out)
    feed = {"image": np.random.default_rng(7).standard_normal((1, 3, 32, 32)).astype(np.float32)}
    for expected, answer in zip(run(conv_net, feed), run(out, feed), strict=True):
        assert np.ptp(expected) > 0
        assert np.abs(expected - answer).max() <= 1e-5 * np.abs(expected).max()


def test_the_printed_json_is_a_record(rewritten: tuple[Path, Ended], cli: InProcess) -> None:
    Path("record.json").write_text(rewritten[1].out)
    shown = cli("report", "record.json")
    assert shown.code == 0, shown.err
    assert FOLD in shown.out
    assert cli("report", "record.json", "--html", "page.html").code == 0
    assert 'id="changes"' in Path("page.html").read_text()


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_table_fits_the_terminal(
    width: str, conv_net: Path, monkeypatch: pytest.MonkeyPatch, cli: InProcess
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    shown = cli("rewrite", conv_net, "--report", "page.html", *XEON)
    assert shown.code == 0, shown.err
    assert max(map(len, shown.out.splitlines())) <= int(width)
    assert FOLD in shown.out
    assert "Nodes" in shown.out
    assert "passed, tolerance" in shown.out
    assert names(Path()) == ["page.html"], "without -o no model is written"


def test_refusals_name_node_and_reason(cli: InProcess) -> None:
    found = cli("rewrite", branched(), "--only", FOLD, "--json", *XEON).json
    assert found["applied"] == []
    (refused,) = found["refused"]
    assert refused["rule"] == FOLD
    assert refused["node"] in ("conv", "norm")
    assert "output of the graph" in refused["reason"]
    shown = cli("rewrite", "branched.onnx", "--only", FOLD, *XEON).out
    assert "No rule applied." in shown
    assert "Rules refused, and why" in shown


def test_rules_are_chosen_and_left_out(conv_net: Path, cli: InProcess) -> None:
    kept = cli("rewrite", conv_net, "-o", "kept.onnx", "--only", "remove_dead_nodes", "--json", *XEON).json
    assert {row["rule"] for row in kept["applied"]} <= {"remove_dead_nodes"}
    assert "BatchNormalization" in operators("kept.onnx")
    assert kept["settings"]["only"] == ["remove_dead_nodes"]
    left = cli("rewrite", conv_net, "--skip", FOLD, "--json", *XEON).json
    assert FOLD not in [row["rule"] for row in left["applied"]]
    both = cli("rewrite", conv_net, "--only", FOLD, "--only", "remove_dead_nodes", "--skip", FOLD, "--json", *XEON).json
    assert FOLD not in [row["rule"] for row in both["applied"]]


def test_check_compares_what_lives_on(conv_net: Path, cli: InProcess) -> None:
    plain = cli("rewrite", conv_net, "--json", *XEON).json
    checked = cli("rewrite", conv_net, "--check", "--json", *XEON).json
    assert checked["verification"]["passed"] is True
    assert checked["rewrite"]["compared_values"] > plain["rewrite"]["compared_values"] > 0


def test_given_inputs_prove_it_and_bind_open_dimensions(open_conv_net: Path, cli: InProcess) -> None:
    np.savez("data.npz", image=np.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(np.float32))
    found = cli("rewrite", open_conv_net, "--input", "data.npz", "--json", *XEON)
    assert found.code == 0, found.err
    assert found.json["verification"]["passed"] is True


@pytest.mark.parametrize("about", ["rule", "node", "new node"])
def test_what_was_done_is_explained(about: str, conv_net: Path, cli: InProcess) -> None:
    changes = cli("rewrite", conv_net, "--only", FOLD, "--json", *XEON).json["rewrite"]["changes"]
    asked = {"rule": FOLD, "node": changes[0]["removed"][0], "new node": changes[0]["added"][0]}[about]
    shown = cli("rewrite", conv_net, "--only", FOLD, "--explain", asked, *XEON)
    assert shown.code == 0, shown.err
    joined = " ".join(shown.out.split())
    for line in (*changes[0]["before"], *changes[0]["after"]):
        assert line in joined
    if about == "rule":
        assert f"applied {len(changes)} times" in joined
        assert all_steps()[FOLD].title in joined
    told = cli("rewrite", conv_net, "--only", FOLD, "--explain", asked, "--json", *XEON).json["explained"]
    assert [" ".join(line.split()) for line in told if line.strip()]


def test_a_refusal_is_explained_at_its_node(cli: InProcess) -> None:
    path = branched()
    node = cli("rewrite", path, "--only", FOLD, "--json", *XEON).json["refused"][0]["node"]
    shown = cli("rewrite", path, "--only", FOLD, "--explain", node, *XEON)
    assert f"{FOLD} refused:" in shown.out
    assert f"rules that look at {'Conv' if node == 'conv' else 'BatchNormalization'}:" in shown.out


def test_a_name_in_an_explanation_cannot_colour_the_terminal(cli: InProcess) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["\x1b[31my"], name="relu")]
    proto = models.model(nodes, [models.value("x", [2, 3])], [models.value("\x1b[31my", [2, 3])])
    onnx.save(proto, "hostile.onnx")
    shown = cli("rewrite", "hostile.onnx", "--unverified", "--explain", "relu", *XEON)
    assert shown.code == 0, shown.err
    assert "Relu(x)" in shown.out
    assert "\x1b" not in shown.out


def test_what_proves_nothing_is_not_written(cli: InProcess) -> None:
    models.constant_output(Path("constant.onnx"))
    line = one_error(cli("rewrite", "constant.onnx", "-o", "new.onnx", *XEON), 1)
    assert "is constant" in line
    assert "--unverified" in line
    assert names(Path()) == ["constant.onnx"]
    written = cli("rewrite", "constant.onnx", "-o", "new.onnx", "--unverified", *XEON)
    assert written.code == 0, written.err
    assert "NOT verified" in written.out
    assert names(Path()) == ["constant.onnx", "new.onnx"]
    feed = {"x": np.ones((4, 8), np.float32)}
    assert np.array_equal(run("constant.onnx", feed)[0], run("new.onnx", feed)[0])


def test_open_dimensions_ask_for_sizes(open_conv_net: Path, cli: InProcess) -> None:
    line = one_error(cli("rewrite", open_conv_net, "-o", "new.onnx", *XEON), 2)
    assert "open dimensions: N" in line
    assert "--batch N" in line
    assert names(Path()) == []
    bound = cli("rewrite", open_conv_net, "-o", "new.onnx", "--batch", "2", "--json", *XEON)
    assert bound.code == 0, bound.err
    assert bound.json["verification"]["passed"] is True
    feed = {"image": np.random.default_rng(7).standard_normal((2, 3, 32, 32)).astype(np.float32)}
    expected, answer = run(open_conv_net, feed)[0], run("new.onnx", feed)[0]
    assert np.abs(expected - answer).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("options", [(), ("--unverified",)])
def test_missing_weights_stop_it(options: Sequence[str], cli: InProcess) -> None:
    proto = models.dense()
    models.refer(proto.graph.initializer[0], "gone.bin", length=768)
    Path("gone.onnx").write_bytes(proto.SerializeToString())
    line = one_error(cli("rewrite", "gone.onnx", "-o", "new.onnx", *options, *XEON), 2)
    assert "missing (w)" in line
    assert names(Path()) == ["gone.onnx"]


BAD_ARGUMENTS = {
    "--only nobody": "no rule 'nobody'",
    "--skip nobody": "no rule 'nobody'",
    "-o nowhere/new.onnx": "create the folder first",
    "-o .": "is a folder",
    "--report nowhere/page.html": "create the folder first",
    "--input nothing.npz": "no file nothing.npz",
    "--threads 0": "no number of threads",
    "--groups nobody": "'nobody'",
    "--batch 3": "no open batch dimension",
}


@pytest.mark.parametrize("options", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_before_any_work(options: str, cli: InProcess) -> None:
    Path("ok.onnx").write_bytes(models.dense().SerializeToString())
    ended = cli("rewrite", "ok.onnx", *options.split(), *XEON)
    assert BAD_ARGUMENTS[options] in one_error(ended, 2)
    assert "rewriting" not in ended.err
    assert names(Path()) == ["ok.onnx"]


def test_an_unknown_name_is_not_explained(cli: InProcess) -> None:
    Path("ok.onnx").write_bytes(models.dense().SerializeToString())
    line = one_error(cli("rewrite", "ok.onnx", "--explain", "nobody", *XEON), 2)
    assert "neither a rule nor a node is called 'nobody'" in line


def test_an_operator_no_engine_knows_cannot_be_proven(custom_operator: Path, cli: InProcess) -> None:
    line = one_error(cli("rewrite", custom_operator, "-o", "new.onnx", *XEON), 2)
    assert "Frobnicate" in line
    assert "--unverified" in line
    assert names(Path()) == []
    assert cli("rewrite", custom_operator, "-o", "new.onnx", "--unverified", *XEON).code == 0
    assert "Frobnicate" in operators("new.onnx")


def test_changes_of_a_real_model_can_be_drawn(rewritten: tuple[Path, Ended]) -> None:
    groups = rewriting.changes_by_rule(rewritten[1].json)
    folded = next(group for group in groups if group.rule == FOLD)
    change = folded.shown[0]
    assert change.before is not None
    assert change.after is not None
    assert "BatchNormalization" in [box.op for box in change.before.boxes]
    assert [box.op for box in change.after.boxes] == ["Conv"]


def test_rules_are_listed_in_a_narrow_terminal() -> None:
    shown = shell("rules")
    assert shown.code == 0
    assert shown.err == ""
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    assert all(name in shown.out for name in all_steps()), "what must be typed is never cut short"


def test_a_rule_is_shown_with_its_examples() -> None:
    shown = shell("rules", FOLD)
    assert shown.code == 0
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    joined = " ".join(shown.out.split())
    for example in all_steps()[FOLD].examples:
        assert example.name in joined
        assert " ".join(example.before.split()) in joined
        assert " ".join(example.after.split()) in joined


def test_rules_are_json(cli: InProcess) -> None:
    found = cli("rules", "--json").json["rules"]
    assert [rule["name"] for rule in found] == list(all_steps())
    assert [rule["name"] for rule in found if rule["default"]] == list(ORDER)
    for rule in found:
        assert rule["title"] == rule["description"].splitlines()[0]
        assert rule["exactness"] in ("bitwise", "reassociates", "approximates")
        assert rule["examples"]
    (one,) = cli("rules", FOLD, "--json").json["rules"]
    assert one in found
    assert json.dumps(one)


def test_an_unknown_rule_is_an_error(cli: InProcess) -> None:
    assert "no rule 'nobody'" in one_error(cli("rules", "nobody"), 2)
