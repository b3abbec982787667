"""The other commands: what they print, as JSON and for people, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import rooftune
from rooftune.cli.app import app, collect_commands
from rooftune.machine.spec import Machine

from .running import InProcess, shell

XEON = ("--machine", "intel-xeon-platinum-8480plus")
COMMANDS = (
    "analyze",
    "compare",
    "compile",
    "doctor",
    "gpu",
    "machine",
    "optimize",
    "profile",
    "report",
    "rewrite",
    "rules",
)


def test_analyze_prints_the_promised_keys(conv_net: Path, host: Machine) -> None:
    ended = shell("analyze", conv_net, "--json")
    assert ended.code == 0
    assert ended.err == ""
    found = ended.json
    totals = found["totals"]
    assert {
        "params",
        "macs",
        "flops",
        "footprint_bytes",
        "coverage",
        "roof_seconds",
        "predicted_seconds",
    } <= totals.keys()
    views = {"textbook", "unfused", "fused", "ideal"}
    assert totals["bytes"].keys() == views
    for node in found["nodes"]:
        assert {"name", "op", "macs", "flops", "intensity", "bound", "roof_seconds", "predicted_seconds"} <= node.keys()
        assert node["bytes"].keys() == views
    assert found["groups"]
    assert found["unknown"] == []
    assert found["machine"] == "host"
    assert totals["coverage"] == 1
    assert 0 < totals["roof_seconds"] <= totals["predicted_seconds"]
    assert sum(n["macs"] for n in found["nodes"]) == totals["macs"]
    assert sum(g["roof_seconds"] for g in found["groups"]) == pytest.approx(totals["roof_seconds"])


def test_analyze_counts_what_a_hand_counts(tmp_path: Path, cli: InProcess) -> None:
    from .. import models

    path = tmp_path / "dense.onnx"
    path.write_bytes(models.dense(rows=5).SerializeToString())
    totals = cli("analyze", path, "--json", *XEON).json["totals"]
    assert totals["params"] == 16 * 12
    assert totals["macs"] == 5 * 16 * 12
    assert totals["flops"] == 2 * 5 * 16 * 12 + 5 * 12
    assert totals["bytes"]["fused"] == 4 * (5 * 16 + 16 * 12 + 5 * 12) + 2 * 4 * 5 * 12


@pytest.mark.parametrize(
    "name", ["conv_net", "open_conv_net", "transformer", "branching", "custom_operator", "zero_size"]
)
def test_analyze_fits_a_narrow_terminal(name: str, request: pytest.FixtureRequest) -> None:
    shown = shell("analyze", request.getfixturevalue(name), *XEON)
    assert shown.code == 0
    assert shown.err == ""
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    assert "Coverage" in shown.out


def test_analyze_writes_the_page_it_is_asked_for(conv_net: Path, tmp_path: Path, cli: InProcess) -> None:
    page = tmp_path / "page.html"
    assert cli("analyze", conv_net, "--report", page, *XEON).code == 0
    assert "conv_net" in page.read_text()


def test_profile_explains_the_measured_time(conv_net: Path, host: Machine, tmp_path: Path, cli: InProcess) -> None:
    record = tmp_path / "record.json"
    ended = cli("profile", conv_net, "--json", "--threads", "1", "--runs", "5", "--checks", "1", "-o", record)
    assert ended.code == 0, ended.err
    found = ended.json
    assert found == json.loads(record.read_text())
    profile = found["profiles"]["before"]
    assert sum(profile["ledger"].values()) == pytest.approx(1)
    assert set(profile["ledger"]) == {"roof", "padding", "utilisation", "traffic", "dispatch", "unfused", "residual"}
    assert profile["attributed_share"] >= 0.95
    assert all(sum(o["ledger"].values()) == pytest.approx(1) for o in profile["operators"])
    assert profile["counterfactuals"]
    assert cli("report", record).code == 0
    rows = cli("compare", record, record, "--json").json["ledger"]
    assert "roof" in {r["cause"] for r in rows}


def test_compare_puts_models_on_machines(conv_net: Path, transformer: Path, cli: InProcess) -> None:
    options = ("-m", "apple-m1-gpu", "-m", "google-tpu-v4")
    rows = cli("compare", conv_net, transformer, "--json", *options).json["rows"]
    assert [(r["model"], r["machine"]) for r in rows] == [
        ("conv_net", "apple-m1-gpu"),
        ("conv_net", "google-tpu-v4"),
        ("transformer", "apple-m1-gpu"),
        ("transformer", "google-tpu-v4"),
    ]
    assert {r["macs"] for r in rows if r["model"] == "conv_net"} == {rows[0]["macs"]}
    assert rows[0]["roof_seconds"] > 0
    shown = shell("compare", conv_net, transformer, *options)
    assert shown.code == 0
    assert "google-tpu-v4" in shown.out, "what must be typed is never cut short"
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_the_catalog_is_listed_and_shown(cli: InProcess) -> None:
    listed = cli("machine", "list", "--json").json["machines"]
    assert len(listed) >= 35
    shown = shell("machine", "list")
    assert all(m["id"] in shown.out for m in listed), "what must be typed is never cut short"
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    one = cli("machine", "show", "h200", "--json").json
    assert one["id"] == "nvidia-h200-sxm"
    assert all(p["standing"] for p in one["peaks"])
    text = cli("machine", "show", "h200").out
    assert all(p["source"] in " ".join(text.split()) for p in one["peaks"] if p["source"])


def test_the_host_is_shown(host: Machine, cli: InProcess) -> None:
    facts = cli("machine", "show", "--json").json
    assert facts["id"] == "host"
    assert {lv["name"] for lv in facts["levels"]} >= {"L1", "DRAM"}
    assert any(p["format"] == "fp32" and p["standing"] == "measured" for p in facts["peaks"])


def test_a_machine_of_ones_own_can_be_used(conv_net: Path, tmp_path: Path, cli: InProcess) -> None:
    from importlib.resources import files

    text = files("rooftune.machine").joinpath("catalog", "apple-m1-gpu.toml").read_text()
    own = tmp_path / "own.toml"
    own.write_text(text.replace('"apple-m1-gpu"', '"my-gpu"').replace("Apple M1", "[red]Mine[/red]"))
    found = cli("analyze", conv_net, "--machine", own, "--json").json
    assert found["machine"] == "my-gpu"
    assert "[red]Mine" in cli("machine", "show", own).out, "names are shown as they are"


def test_doctor_says_what_is_there(host: Machine, cli: InProcess) -> None:
    findings = {f["what"]: f for f in cli("doctor", "--json").json["findings"]}
    assert findings["engine onnxruntime"]["status"] == "ok"
    assert findings["ceilings of this machine"]["status"] == "ok"
    shown = shell("doctor")
    assert shown.code == 0
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_gpu_answers_with_or_without_one(cli: InProcess) -> None:
    ended = cli("gpu", "--json")
    assert ended.code == 0
    assert isinstance(ended.json["gpus"], list)
    assert cli("gpu").out.strip()


def test_the_version_is_told(cli: InProcess) -> None:
    assert cli("--version").out == f"rooftune {rooftune.__version__}\n"


def test_every_command_has_help(cli: InProcess) -> None:
    collect_commands()
    present = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback is not None}
    assert present | {g.name for g in app.registered_groups} == set(COMMANDS)
    first = cli("--help")
    assert first.code == 0
    assert all(name in first.out for name in COMMANDS)
    for line in ((name,) for name in COMMANDS):
        shown = cli(*line, "--help")
        assert shown.code == 0
        assert shown.err == ""
        assert f"rooftune {' '.join(line)}" in shown.out


@pytest.mark.parametrize("line", [(), ("machine",)])
def test_a_bare_command_shows_its_help(line: tuple[str, ...], cli: InProcess) -> None:
    ended = cli(*line)
    assert ended.code == 2
    assert "Usage" in ended.out
    assert ended.err == ""


def test_a_reader_that_goes_away_is_no_failure(conv_net: Path) -> None:
    command = [sys.executable, "-m", "rooftune", "analyze", str(conv_net), *XEON]
    for options in ([], ["--json"]):
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(timeout=60) == 0


def test_a_terminal_without_our_letters_is_no_failure(conv_net: Path) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = shell("analyze", conv_net, *XEON, environment=environment)
    assert shown.code == 0, shown.err
    found = shell("analyze", conv_net, "--json", *XEON, environment=environment)
    assert found.json["totals"]["coverage"] == 1


def test_warnings_are_one_line_each(cli: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def warning() -> list[object]:
        warnings.warn("the cache\nis full", stacklevel=1)
        return []

    monkeypatch.setattr("rooftune.pipeline.doctor.examine", warning)
    assert cli("doctor").err == "rooftune: warning: the cache is full\n"


def test_a_defect_is_one_line_as_well(cli: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr("rooftune.pipeline.doctor.examine", broken)
    ended = cli("doctor")
    assert ended.code == 70, "none of the codes scripts act on"
    (line,) = ended.err.splitlines()
    assert "nobody expected this" in line
    assert "--debug" in line
    assert "Traceback" in cli("doctor", "--debug").err


@pytest.fixture
def without_llvm(tmp_path: Path) -> dict[str, str]:
    """An environment in which LLVM is not installed."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text("import sys\nsys.modules['llvmlite'] = None\n")
    return {"PYTHONPATH": str(tmp_path / "hidden")}


def test_without_llvm_the_other_engines_run(
    without_llvm: dict[str, str], conv_net: Path, host: Machine, tmp_path: Path
) -> None:
    looked = shell("doctor", environment=without_llvm)
    assert looked.code == 3 and "pip install llvmlite" in looked.out
    ended = shell(
        "optimize", conv_net, "-o", tmp_path / "out", "--budget", "0.5s", "--json", "--no-rewrite",
        environment=without_llvm,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert {c["backend"] for c in ended.json["candidates"]}.isdisjoint({"native"})
    assert "llvmlite" in json.dumps(ended.json)


@pytest.mark.parametrize("command", [("compile",), ("analyze",)])
def test_what_needs_llvm_says_so(
    command: tuple[str, ...], without_llvm: dict[str, str], conv_net: Path, tmp_path: Path
) -> None:
    ended = shell(*command, conv_net, environment={**without_llvm, "ROOFTUNE_HOME": str(tmp_path / "new")})
    assert ended.code == 3, ended.err
    assert "pip install llvmlite" in ended.err and "defect" not in ended.err


def test_a_cache_folder_that_cannot_be_made_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    looked = shell("doctor", environment={"ROOFTUNE_HOME": str(tmp_path / "file" / "home")})
    assert looked.code == 3 and "cannot be written" in looked.out


def test_an_interrupted_profile_leaves_nothing(conv_net: Path, host: Machine, tmp_path: Path) -> None:
    (scratch := tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "rooftune", "profile", str(conv_net), "--runs", "1000000", "--threads", "1"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60
        # the engine profiles into a file of its own
        while time.monotonic() < end and not list(scratch.glob("rooftune-worker-*/rooftune-profile-*")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    assert list(scratch.iterdir()) == []
