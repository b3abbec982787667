"""`rooftune optimize` as a user runs it: the run folder, its JSON, what `rooftune.load` makes of it, interruptions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import psutil
import pytest

import rooftune
from rooftune.errors import InputError
from rooftune.execute.inputs import random_inputs
from rooftune.machine.spec import Machine

from .running import Ended, InProcess, names, shell

FILES = ["deployment.toml", "model.onnx", "record.json", "report.html"]
DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"


@pytest.fixture(scope="session")
def optimised(conv_net: Path, host: Machine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """The small network optimised once among all engines; tests that change the folder copy it first."""
    folder = tmp_path_factory.mktemp("optimised") / "out"
    return folder, shell("optimize", conv_net, "-o", folder, "--json", "--budget", "3s")


def on_onnxruntime(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


def drawn(run: rooftune.Running, seed: int = 5) -> dict[str, np.ndarray]:
    return random_inputs(run.inputs, seed=seed)


def agree(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return set(found) == set(expected) and all(
        np.allclose(found[n], expected[n], rtol=0, atol=1e-5 * float(np.abs(expected[n]).max())) for n in expected
    )


def test_it_prints_one_json_object_with_the_promised_keys(optimised: tuple[Path, Ended]) -> None:
    folder, ended = optimised
    assert ended.code == 0, ended.err
    result = ended.json
    assert {"backend", "seconds"} <= result["baseline"].keys()
    assert {"backend", "seconds", "settings"} <= result["best"].keys()
    assert {"median", "low", "high"} <= result["speedup"].keys()
    assert {"max_relative_error", "passed"} <= result["verification"].keys()
    for step in result["steps"]:
        assert {"name", "kind", "predicted_gain", "measured_gain", "kept", "reason"} <= step.keys()
    assert result["steps"] and result["candidates"]
    assert result["folder"] == str(folder)
    assert all(line.startswith("rooftune: ") for line in ended.err.splitlines())


def test_it_is_never_slower_than_the_baseline(optimised: tuple[Path, Ended]) -> None:
    result = optimised[1].json
    speedup = result["speedup"]
    if result["best"]["name"] == result["baseline"]["name"]:
        assert (speedup["low"], speedup["median"], speedup["high"]) == (1, 1, 1)
        assert not [s for s in result["steps"] if s["kept"] and s["measured_gain"] != 1]
    else:
        assert 1 < speedup["low"] <= speedup["median"] <= speedup["high"]
    assert result["verification"]["passed"] is True
    assert 0 <= result["verification"]["max_relative_error"] <= result["verification"]["tolerance"]
    backends = {c["backend"] for c in result["candidates"] if c["status"] == "measured"}
    assert backends >= {"onnxruntime"}


def test_it_leaves_the_four_files(optimised: tuple[Path, Ended], conv_net: Path) -> None:
    folder, ended = optimised
    assert names(folder) == FILES
    assert names(folder.parent) == [folder.name], "nothing is left beside it"
    record = json.loads((folder / "record.json").read_text())
    printed = ended.json
    del printed["folder"]
    assert record == printed
    # which of both was faster is the clock's to say: the file must be the one that the record names
    rewritten = any(s["kind"] == "rewrite" and s["kept"] for s in record["steps"])
    shipped = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(shipped, full_check=True)
    assert ((folder / "model.onnx").read_bytes() == conv_net.read_bytes()) is not rewritten
    assert any(n.op_type == "BatchNormalization" for n in shipped.graph.node) is not rewritten
    assert record["settings"]["seed"] == 0
    assert record["environment"]["versions"]["onnxruntime"] == onnxruntime.__version__


def test_the_folder_can_be_moved_and_loaded(optimised: tuple[Path, Ended], conv_net: Path, tmp_path: Path) -> None:
    moved = tmp_path / "somewhere" / "else"
    shutil.copytree(optimised[0], moved)
    with rooftune.load(moved) as run:
        inputs = drawn(run)
        expected = on_onnxruntime(conv_net, inputs)
        assert agree(run(inputs), expected)
        assert np.ptp(next(iter(expected.values()))) > 0
        swapped = {n: a.astype(a.dtype.newbyteorder(">")) for n, a in inputs.items()}
        assert agree(run(swapped), expected), "arrays of the other byte order are understood"
    with pytest.raises(InputError, match="closed"):
        run(inputs)


@pytest.mark.parametrize(
    ("inputs", "cause"),
    [
        ({}, "'image' is missing"),
        ({"image": np.zeros((1, 3, 32, 32), np.float32), "other": np.zeros(1)}, "'other' is no input"),
        ({"image": np.zeros((3, 32, 32), np.float32)}, r"shape \[3, 32, 32\], expected \[1, 3, 32, 32\]"),
        ({"image": np.zeros((2, 3, 32, 32), np.float32)}, r"shape \[2, 3, 32, 32\]"),
        ({"image": np.zeros((1, 3, 32, 32))}, "element type float64, expected float32"),
        ([np.zeros((1, 3, 32, 32), np.float32)], "expected a mapping"),
    ],
)
def test_wrong_inputs_are_named(optimised: tuple[Path, Ended], inputs: object, cause: str) -> None:
    with rooftune.load(optimised[0]) as run, pytest.raises(InputError, match=cause) as wrong:
        run(inputs)  # type: ignore[arg-type]
    assert "image: float32[1, 3, 32, 32]" in wrong.value.remedy


def test_the_record_is_shown_again(optimised: tuple[Path, Ended], tmp_path: Path, cli: InProcess) -> None:
    folder, ended = optimised
    shown = cli("report", folder)
    assert shown.code == 0
    assert ended.json["best"]["backend"] in shown.out
    assert cli("report", folder / "record.json", "--json").json == json.loads((folder / "record.json").read_text())
    page = tmp_path / "again.html"
    assert cli("report", folder, "--html", page).code == 0
    assert "<html" in page.read_text()[:400].lower()


def test_two_records_are_compared_cause_by_cause(optimised: tuple[Path, Ended], cli: InProcess) -> None:
    folder = optimised[0]
    rows = cli("compare", folder, folder / "record.json", "--json").json["ledger"]
    after = json.loads((folder / "record.json").read_text())["profiles"]["after"]
    assert sum(r["after_seconds"] for r in rows) == pytest.approx(after["model_seconds"])
    assert {r["saved_seconds"] for r in rows} == {0}
    assert "roof" in cli("compare", folder, folder).out


@pytest.fixture(scope="session")
def single(
    optimised: tuple[Path, Ended], conv_net: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ended]:
    """One engine on one thread with given data, over a run folder that was there before."""
    folder = tmp_path_factory.mktemp("single")
    shutil.copytree(optimised[0], folder / "out")
    (folder / "out" / "old.txt").write_text("of the run before")
    image = np.random.default_rng(3).standard_normal((1, 3, 32, 32)).astype(np.float32)
    np.savez(folder / "data.npz", image=image)
    options = ("--backends", "onnxruntime", "--threads", "1", "--budget", "1s", "--input", folder / "data.npz")
    return folder, shell("optimize", conv_net, "-o", folder / "out", "--json", *options)


def test_options_are_obeyed(single: tuple[Path, Ended]) -> None:
    folder, ended = single
    assert ended.code == 0, ended.err
    result = ended.json
    assert {c["backend"] for c in result["candidates"]} == {"onnxruntime"}
    assert {c["threads"] for c in result["candidates"]} == {1}
    assert result["settings"]["threads"] == 1
    assert result["settings"]["budget_seconds"] == 1
    assert result["settings"]["inputs"] == str(folder / "data.npz")
    assert "on 1 input against" in " ".join(result["method"])


def test_a_run_folder_is_replaced_whole(single: tuple[Path, Ended]) -> None:
    folder = single[0]
    assert names(folder) == ["data.npz", "out"]
    assert names(folder / "out") == FILES


THREADS_OF_A_LOADED_MODEL = """
import os, sys, numpy, rooftune
import onnxruntime
onnxruntime.disable_telemetry_events()
before = len(os.listdir("/proc/self/task"))
run = rooftune.load(sys.argv[1])
run({"image": numpy.ones((1, 3, 32, 32), numpy.float32)})
print(run.deployment.threads, run.deployment.settings["intra_op_threads"], len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux shows them")
def test_the_loaded_model_keeps_to_its_threads(single: tuple[Path, Ended]) -> None:
    command = [sys.executable, "-c", THREADS_OF_A_LOADED_MODEL, str(single[0] / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["1", "1", "0"], "one thread is the caller's own"


def test_open_dimensions_are_bound_and_remembered(
    open_conv_net: Path, host: Machine, tmp_path: Path, cli: InProcess
) -> None:
    out = tmp_path / "out"
    options = (
        "--backends",
        "openvino",
        "--threads",
        "1",
        "--budget",
        "1s",
        "--batch",
        "2",
        "--objective",
        "throughput",
    )
    ended = cli("optimize", open_conv_net, "-o", out, "--json", *options)
    assert ended.code == 0, ended.err
    assert ended.json["settings"]["shapes"] == {"image": [2, 3, 32, 32]}
    assert ended.json["settings"]["objective"] == "throughput"
    with rooftune.load(out) as run:
        assert run.deployment.backend == "openvino"
        assert run.deployment.input_shapes == {"image": [2, 3, 32, 32]}
        image = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
        assert agree(run({"image": image}), on_onnxruntime(open_conv_net, {"image": image}))


def test_zero_size_tensors_are_legal_and_the_folder_has_a_name(
    zero_size: Path, host: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: InProcess
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("optimize", zero_size, "--json", "--backends", "onnxruntime", "--threads", "1", "--budget", "500ms")
    assert ended.code == 0, ended.err
    assert ended.json["folder"] == "zero_size-rooftune"
    assert ended.json["verification"]["passed"] is True
    with rooftune.load("zero_size-rooftune") as run:
        result = run(drawn(run))
    assert result["y"].shape == (4, 6)
    assert result["z"].shape == (0, 6)


def test_what_cannot_be_verified_says_so(model_folder: Path, host: Machine, tmp_path: Path, cli: InProcess) -> None:
    from .. import models

    path = models.constant_output(model_folder / "constant.onnx")
    out = tmp_path / "out"
    ended = cli(
        "optimize", path, "-o", out, "--json", "--backends", "onnxruntime", "--threads", "1", "--budget", "0.5s"
    )
    assert ended.code == 1
    assert ended.json["verification"]["passed"] is False
    assert "is constant" in ended.json["verification"]["reason"]
    assert ended.json["speedup"]["median"] == 1
    assert "could not be verified" in ended.err.splitlines()[-1]
    assert names(out) == FILES, "the best found is kept and shown"
    with pytest.warns(UserWarning, match="not verified"):
        rooftune.load(out).close()


@pytest.mark.skipif(not DIGITS.exists(), reason="the example has not been trained")
def test_the_example_is_optimised(host: Machine, tmp_path: Path) -> None:
    outcome = rooftune.optimize(
        DIGITS, tmp_path / "out", backends=["onnxruntime"], threads=1, batch=1, budget=0.5, machine=host
    )
    assert outcome.record.verification is not None
    assert outcome.record.verification.passed
    assert outcome.speedup >= 1
    assert names(tmp_path / "out") == FILES


def wait_for_worker(process: subprocess.Popen[str], seconds: float) -> list[psutil.Process]:
    """The engine processes of a run, once there are any."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [
            p for p in psutil.Process(process.pid).children(recursive=True) if "worker_main" in " ".join(p.cmdline())
        ]
        if found:
            return found
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no engine was started")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(
    number: signal.Signals, code: int, conv_net: Path, host: Machine, tmp_path: Path
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    (tmp_path / "work").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "rooftune", "optimize", str(conv_net), "-o", "out", "--threads", "1", "--budget", "60s"],
        cwd=tmp_path / "work",
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        workers = wait_for_worker(process, 60)
        time.sleep(0.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    assert names(tmp_path / "work") == []
    assert names(scratch) == []
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_what_rounds_otherwise_can_be_left_out(tmp_path: Path, conv_net: Path) -> None:
    out = tmp_path / "out"
    ended = shell(
        "optimize", conv_net, "-o", out, "--json", "--budget", "1s", "--backends", "native,onnxruntime",
        "--exactness", "reassociates", "--no-rewrite",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.json["settings"]["exactness"] == "reassociates"
    native = [c["settings"] for c in ended.json["candidates"] if c["backend"] == "native"]
    assert native and not any(settings["winograd"] for settings in native)
    assert ended.json["verification"]["tolerance"] == 1e-5
    refused = shell("optimize", conv_net, "-o", out, "--exactness", "perfect")
    assert refused.code == 2 and "reassociates or approximates" in refused.err
