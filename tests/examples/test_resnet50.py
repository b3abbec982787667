"""The ResNet50 example: real size, and answers that depend on the picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort


def _write(examples: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(examples / "resnet50.py"), str(out)], capture_output=True, text=True, check=False
    )


def test_resnet50_has_real_size_and_telling_outputs(examples: Path, tmp_path: Path) -> None:
    out = tmp_path / "resnet50.onnx"
    done = _write(examples, out)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["resnet50.onnx"]

    model = onnx.load(out)
    parameters = sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    # 25,557,032 learnable, and 53,120 running means and variances
    assert parameters == 25_557_032 + 53_120

    session = ort.InferenceSession(out, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    pictures = np.random.default_rng(0).standard_normal((2, *given.shape)).astype(np.float32)
    first, second = (session.run(None, {given.name: picture})[0] for picture in pictures)
    assert np.isfinite(first).all()
    assert np.ptp(first) > 0
    assert not np.array_equal(first, second)


def test_resnet50_refuses_a_place_that_cannot_be_written(examples: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _write(examples, tmp_path / "file" / "resnet50.onnx")
    assert done.returncode == 2
    assert "cannot write" in done.stderr and len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
