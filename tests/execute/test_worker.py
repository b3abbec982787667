"""A worker's engine may refuse, crash or hang; ours must not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from rooftune.execute.backends.onnxruntime import BACKEND, reference_candidate
from rooftune.execute.inputs import random_inputs
from rooftune.execute.placement import usable_cpus
from rooftune.execute.worker import EngineFailure, Worker

from . import models


def gone(pid: int, within: float = 20.0) -> bool:
    """True once the process has ended (or only its exit code is left)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture()
def path(tmp_path: Path) -> Path:
    return models.sums(tmp_path / "model.onnx", TensorProto.FLOAT)


def test_it_uses_exactly_as_many_cpus_as_threads(path: Path) -> None:
    with Worker(BACKEND.default(1), path) as worker:
        assert len(worker.cpus) == 1 and set(worker.cpus) <= set(usable_cpus())


def test_outputs_come_back_whole(tmp_path: Path) -> None:
    path = models.sums(tmp_path / "model.onnx", TensorProto.FLOAT, [1500, 1000])
    with Worker(reference_candidate(), path) as worker:
        inputs = random_inputs(worker.loaded.inputs)
        result = worker.run(inputs)["value1"]
    np.testing.assert_allclose(result, 2 * inputs["left"] + inputs["right"], rtol=1e-6, atol=1e-6)


def test_a_crash_is_a_reason(path: Path) -> None:
    worker = Worker(BACKEND.default(1), path)
    os.kill(worker.status()["pid"], signal.SIGSEGV)
    with pytest.raises(EngineFailure, match="SIGSEGV") as caught:
        worker.run(random_inputs(worker.loaded.inputs))
    assert caught.value.kind == "crashed"
    worker.close()


def test_being_killed_hints_at_memory(path: Path) -> None:
    worker = Worker(BACKEND.default(1), path)
    os.kill(worker.status()["pid"], signal.SIGKILL)
    with pytest.raises(EngineFailure, match=r"SIGKILL.*memory"):
        worker.status()
    worker.close()


def test_a_hang_ends_with_the_timeout(path: Path) -> None:
    worker = Worker(BACKEND.default(1), path)
    pid = worker.status()["pid"]
    worker.timeout = 0.5
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineFailure, match="longer than") as caught:
        worker.status()
    assert caught.value.kind == "timeout"
    worker.close()
    assert gone(pid)


def test_a_refusal_leaves_the_worker_usable(path: Path) -> None:
    with Worker(BACKEND.default(1), path) as worker:
        with pytest.raises(EngineFailure) as caught:
            worker.run({"left": np.ones((2, 2), np.float32), "right": np.ones((2, 2), np.float32)})
        assert caught.value.kind == "refused" and "Got: 2 Expected: 4" in caught.value.reason
        assert "\n" not in caught.value.reason
        worker.run(random_inputs(worker.loaded.inputs))


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match=r"nowhere\.onnx"):
        Worker(BACKEND.default(1), tmp_path / "nowhere.onnx")


@pytest.mark.parametrize("in_thread", [False, True])
def test_it_dies_with_its_parent(path: Path, in_thread: bool) -> None:
    program = f"""
import os, signal, threading
from pathlib import Path
from rooftune.execute.backends.onnxruntime import BACKEND
from rooftune.execute.worker import Worker
kept = []
def start():
    kept.append(Worker(BACKEND.default(1), Path({str(path)!r})))
if {in_thread}:
    thread = threading.Thread(target=start); thread.start(); thread.join()
else:
    start()
print(kept[0].status()["pid"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert gone(int(ended.stdout))


def test_it_survives_the_thread_that_started_it(path: Path) -> None:
    import threading

    kept: list[Worker] = []
    thread = threading.Thread(target=lambda: kept.append(Worker(BACKEND.default(1), path)))
    thread.start()
    thread.join()
    with kept[0] as worker:
        time.sleep(0.2)
        assert worker.status()["pid"] > 0
