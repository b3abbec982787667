"""Threads of a compiled program: those that do not come, those that may not choose, those of another process."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.program import Program, build
from rooftune.compiler.target import host_target
from rooftune.execute.native_program import NativeProgram, pages
from rooftune.graph.text import model_of_text

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

X = np.random.default_rng(0).standard_normal((1, 8, 16, 16)).astype(np.float32)
TEXT = """(float[1,8,16,16] x) => (float[1,8,8,8] y) {
    r = Relu(x) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) }"""


def answer(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0).reshape(1, 8, 8, 2, 8, 2).max(axis=(3, 5))


EXPECTED = answer(X)


def program(threads: int) -> Program:
    target = host_target()
    found = lower(model_of_text(TEXT))
    assert target is not None and isinstance(found, Lowered)
    return build(found, replace(target, threads=threads))


def workers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("rooftune-")]


def test_when_a_thread_cannot_be_started_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    start, before = threading.Thread.start, workers()

    def refuse_the_second(self: threading.Thread) -> None:
        if self.name == "rooftune-2":
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
    with pytest.raises(RuntimeError, match="can't start"):
        NativeProgram(program(3))
    gc.collect()
    assert workers() == before


def test_a_thread_that_may_not_choose_its_core_works_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, cpus: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    native = NativeProgram(program(2))
    np.testing.assert_array_equal(native.run({"x": X})["y"], EXPECTED)
    native.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_is_told_that_it_has_no_threads() -> None:
    native = NativeProgram(program(2))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"ran"
        try:
            native.run({"x": X})
        except RuntimeError as why:
            said = str(why).encode()
        finally:
            os.write(write, said)
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    assert "forked" in said
    np.testing.assert_array_equal(native.run({"x": X})["y"], EXPECTED)
    native.close()


def test_nobody_waits_for_a_thread_that_has_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that come late, or never, leave their shares to others."""
    come = threading.Event()
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: come.wait(), raising=False)
    monkeypatch.setattr(NativeProgram, "_places", lambda self: tuple(range(self.threads)))
    native = NativeProgram(program(4))
    for factor in (1, -1, 3):
        np.testing.assert_array_equal(native.run({"x": factor * X})["y"], answer(factor * X))
    come.set()
    for factor in range(200):
        np.testing.assert_array_equal(native.run({"x": factor * X})["y"], answer(factor * X))
    native.close()


def test_what_another_thread_did_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is done before the caller has begun: the caller finds nothing to do, which takes no time."""
    target = host_target()
    found = lower(
        model_of_text(
            """(float[1,64,28,28] x) => (float[1,64,14,14] z) <float[64,64,3,3] w> {
                y = Conv<pads=[1,1,1,1]>(x, w) z = MaxPool<kernel_shape=[2,2], strides=[2,2]>(y) }"""
        )
    )
    assert target is not None and isinstance(found, Lowered)
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)  # this test is the worker
    native = NativeProgram(build(found, replace(target, threads=2)))
    monkeypatch.undo()
    native._workers.clear()
    x, z = np.ones((1, 64, 28, 28), np.float32), np.empty((1, 64, 14, 14), np.float32)
    native.run({"x": x})
    native._inputs[0], native._outputs[0] = x.ctypes.data, z.ctypes.data
    once = native._code.function("once", None, ctypes.c_int64, ctypes.c_void_p)
    for thread in (1, 0):
        native._set("runs", 2)
        once(thread, native._control.ctypes.data)
    steps = [step.kernel for step, _ in native.program.phases]
    shares = native.phase_shares()
    native.close()
    work = sum(s for s, kernel in zip(shares, steps, strict=True) if kernel not in ("pack", "clear"))
    pool = sum(s for s, kernel in zip(shares, steps, strict=True) if "pool" in kernel)
    assert abs(sum(shares) - 1) < 1e-9 and work > 5 * pool > 0, dict(zip(steps, shares, strict=True))


def test_more_threads_than_cores() -> None:
    """Threads lose their cores in the middle of a run, and come back when others are runs ahead."""
    native = NativeProgram(program(2 * (os.cpu_count() or 1) + 3))
    for factor in range(300):
        np.testing.assert_array_equal(native.run({"x": factor * X})["y"], answer(factor * X))
    native.close()


def test_closing_while_others_run() -> None:
    native, ended = NativeProgram(program(2)), []

    def ask() -> None:
        try:
            while True:
                np.testing.assert_array_equal(native.run({"x": X})["y"], EXPECTED)
        except RuntimeError as why:
            ended.append(str(why))

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for one in asking:
        one.start()
    for _ in range(20):
        native.run({"x": X})
    native.close()
    native.close()
    for one in asking:
        one.join(timeout=60)
    assert ended == ["the model is closed"] * 3


@pytest.mark.parametrize("size", [1 << 60, 1 << 80])
def test_memory_that_nobody_has_is_asked_for_by_its_size(size: int) -> None:
    with pytest.raises(MemoryError, match=r"gives no .*B to the compiled model"):
        pages(size)
