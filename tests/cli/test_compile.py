"""`rooftune compile` as a user runs it: every stage, JSON, and what is left to ONNX Runtime or cannot be compiled."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from rooftune.compiler.target import host_target
from rooftune.graph.save import save_graph
from rooftune.graph.text import model_of_text

from .running import InProcess

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


def test_it_says_what_became_of_the_model(conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", conv_net)
    assert ended.code == 0
    assert "direct" in ended.out and "arena" in ended.out


def test_json_has_the_share_and_the_steps(conv_net: Path, cli: InProcess) -> None:
    found = cli("compile", conv_net, "--json").json
    assert found["native_share"] == {"nodes": 1.0, "time": 1.0}
    assert {"arena_bytes", "weight_bytes", "seconds", "isa"} <= found.keys()
    assert any(step["kernel"] == "direct" and step["schedule"] for step in found["steps"])
    (stage,) = found["stages"]
    assert stage["native"] and len(stage["nodes"]) == found["nodes"]
    assert found["refused"] == [] and found["cuts"] == []


@pytest.mark.parametrize(
    ("stage", "word"),
    [
        ("lowered", "convolution("),
        ("layout", "channels"),
        ("schedule", "direct"),
        ("ir", "define void @run"),
        ("asm", "run"),
    ],
)
def test_every_stage_is_printed(stage: str, word: str, conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", conv_net, "--dump", stage, "--exactness", "reassociates", "--tune", "off")
    assert ended.code == 0
    assert word in ended.out
    if stage == "schedule":
        assert "winograd" not in ended.out


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions that are worth their cut, on both sides of an operator without a kernel."""
    text = """(float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,3,3] v, float[64,64,3,3] w>
        { a = Conv<pads=[1,1,1,1]>(x, v) b = Relu(a) c = Asinh(b) d = Conv<pads=[1,1,1,1]>(c, w) y = Relu(d) }"""
    return save_graph(model_of_text(text).ir, tmp_path_factory.mktemp("half") / "half.onnx")


def test_a_model_in_stages_is_shown_with_its_cuts_and_reasons(half: Path, cli: InProcess) -> None:
    ended = cli("compile", half)
    assert ended.code == 0
    lines = ended.out.splitlines()
    heads = [line for line in lines if line.startswith("stage ")]
    assert [head.split(":")[1].strip() for head in heads] == [
        "native, 2 nodes",
        "ONNX Runtime, 1 node",
        "native, 2 nodes",
    ]
    assert len([line for line in lines if "cut: 803 kB" in line]) == 2
    assert any("Asinh" in line and "no kernel" in line for line in lines[lines.index("not native:") :])
    assert "5 nodes in 3 stages" in lines[-1] and "80 % of them" in lines[-1]


def test_json_of_a_model_in_stages(half: Path, cli: InProcess) -> None:
    found = cli("compile", half, "--json").json
    assert found["native_share"]["nodes"] == 0.8 and 0 < found["native_share"]["time"] < 1
    assert [stage["native"] for stage in found["stages"]] == [True, False, True]
    assert [(refused["op"], bool(refused["reason"])) for refused in found["refused"]] == [("Asinh", True)]
    assert found["refused"][0]["node"] in found["stages"][1]["nodes"]
    assert [cut["bytes"] for cut in found["cuts"]] == [4 * 64 * 56 * 56] * 2
    assert {step["stage"] for step in found["steps"]} == {0, 2}
    assert found["weight_bytes"] > 2 * 4 * 64 * 64 * 9


def test_the_native_parts_are_dumped_one_after_the_other(half: Path, cli: InProcess) -> None:
    for stage, mark, word in (("lowered", "#", "convolution("), ("ir", ";", "define void @run")):
        ended = cli("compile", half, "--dump", stage)
        assert ended.code == 0
        assert ended.out.count(f"{mark} stage ") == 2 and ended.out.count(word) == 2


def test_a_model_of_which_nothing_is_native(tmp_path: Path, cli: InProcess) -> None:
    path = save_graph(model_of_text("(float[2,3] x) => (float[2,3] y) { y = Asinh(x) }").ir, tmp_path / "odd.onnx")
    ended = cli("compile", path)
    assert ended.code == 0 and "0 % of them" in ended.out and "no kernel" in ended.out
    found = cli("compile", path, "--json").json
    assert found["native_share"]["nodes"] == 0.0 and found["steps"] == []
    dumped = cli("compile", path, "--dump", "asm")
    assert dumped.code == 2 and "nothing of the model is compiled: Asinh" in dumped.err


def test_open_sizes_have_to_be_bound(open_conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", open_conv_net)
    assert ended.code == 2
    assert "N" in ended.err and "open" in ended.err and "--input" not in ended.err, "compile takes no data"
    assert cli("compile", open_conv_net, "--batch", "2", "--json").json["native_share"]["nodes"] == 1.0


def test_code_for_another_processor_can_be_looked_at(conv_net: Path, cli: InProcess) -> None:
    name, word = ("neon", "fmla") if platform.machine() != "aarch64" else ("avx512", "zmm")
    shown = cli("compile", conv_net, "--isa", name, "--dump", "asm")
    assert shown.code == 0 and word in shown.out
    assert f"does not have {name}: algorithms are guessed" in shown.err
    assert cli("compile", conv_net, "--isa", name, "--json").json["isa"] == name


def test_more_memory_than_there_is_gets_a_warning(open_conv_net: Path, cli: InProcess) -> None:
    huge = cli("compile", open_conv_net, "--batch", str(10**9), "--dump", "schedule", "--tune", "off")
    assert huge.code == 0 and "this machine has" in huge.err
    assert "this machine has" not in cli("compile", open_conv_net, "--batch", "2", "--dump", "schedule").err


@pytest.mark.parametrize(("option", "value"), [("--dump", "soul"), ("--isa", "mmx")])
def test_unknown_stages_and_instruction_sets(option: str, value: str, conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", conv_net, option, value)
    assert ended.code == 2
    assert value in ended.err and "choose one of" in ended.err
