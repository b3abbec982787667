"""The demonstration: both reports are there, and a failure is passed on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def _demo(examples: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(examples / "demo.py"), *options], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_demo_leaves_two_reports_and_says_where(examples: Path, tmp_path: Path) -> None:
    done = _demo(examples, "--out", str(tmp_path), "--digits-budget", "5s", "--resnet50-budget", "10s")
    assert done.returncode == 0, done.stderr
    for name in ("digits", "resnet50"):
        report = tmp_path / name / "report.html"
        assert report.is_file()
        assert report.as_uri() in done.stdout
    assert "test accuracy on 360 digits: original 9" in done.stdout


def test_demo_passes_a_failure_on(examples: Path, tmp_path: Path) -> None:
    for name in ("digits", "resnet50"):
        (tmp_path / name).write_text("in the way")
    (tmp_path / "resnet50.onnx").mkdir()
    done = _demo(examples, "--out", str(tmp_path))
    assert done.returncode == 2
    assert "report.html" not in done.stdout
    assert "Traceback" not in done.stderr


def test_demo_refuses_a_working_folder_that_is_a_file(examples: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _demo(examples, "--out", str(tmp_path / "file"))
    assert done.returncode == 2
    assert "cannot be made" in done.stderr
