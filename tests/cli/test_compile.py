"""`rooftune compile` as a user runs it: every stage, JSON, and what cannot be compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from rooftune.compiler.target import host_target

from .running import InProcess

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


def test_it_says_what_became_of_the_model(conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", conv_net)
    assert ended.code == 0
    assert "direct" in ended.out and "arena" in ended.out


def test_json_has_the_share_and_the_steps(conv_net: Path, cli: InProcess) -> None:
    found = cli("compile", conv_net, "--json").json
    assert found["native_share"] == 1.0
    assert {"arena_bytes", "weight_bytes", "scratch_bytes", "seconds", "isa"} <= found.keys()
    assert any(step["kernel"] == "direct" and step["schedule"] for step in found["steps"])


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
    ended = cli("compile", conv_net, "--dump", stage, "--direct")
    assert ended.code == 0
    assert word in ended.out
    if stage == "schedule":
        assert "winograd" not in ended.out


def test_what_cannot_be_compiled_is_said(open_conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", open_conv_net)
    assert ended.code == 2
    assert "N" in ended.err and "open" in ended.err


@pytest.mark.parametrize(("option", "value"), [("--dump", "soul"), ("--isa", "mmx")])
def test_unknown_stages_and_instruction_sets(option: str, value: str, conv_net: Path, cli: InProcess) -> None:
    ended = cli("compile", conv_net, option, value)
    assert ended.code == 2
    assert value in ended.err and "choose one of" in ended.err
