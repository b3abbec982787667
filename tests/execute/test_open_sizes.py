"""Open sizes: answered at once, compiled behind the scenes, bounded in everything, and never wrong."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rooftune.compiler.target import host_target
from rooftune.execute.backend import Candidate, TensorSpec
from rooftune.execute.backends.native import BACKEND, NativeModel
from rooftune.execute.backends.onnxruntime import BACKEND as ONNXRUNTIME
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.divide import Shares
from rooftune.execute.open_sizes import Limits, OpenSizesModel, Sizes
from rooftune.verdicts import Refusal

from . import models

Arrays = Mapping[str, Any]


class Doubler:
    """A stand-in for an engine: gives twice its input, and notices being closed under somebody's feet."""

    def __init__(self, shares: float = 1.0, size: int = 10) -> None:
        self.inputs = {"x": TensorSpec("float32", ("N",))}
        self.outputs = {"y": TensorSpec("float32", ("N",))}
        self.shares, self.memory_bytes = Shares(shares, shares), size
        self.closed, self.inside, self.runs = False, 0, 0
        self.hold: threading.Event | None = None

    def run(self, arrays: Arrays) -> dict[str, Any]:
        assert not self.closed, "it is run after it was closed"
        self.inside += 1
        self.runs += 1
        if self.hold is not None:
            self.hold.wait(10)
        assert not self.closed, "it was closed while it ran"
        self.inside -= 1
        return {"y": 2 * arrays["x"]}

    def profile(self, arrays: Arrays, runs: int) -> Any:
        return self

    def close(self) -> None:
        assert self.inside == 0 or self.hold is None, "it was closed while it ran"
        self.closed = True


class Compiler:
    """Counts what it is asked for; `gate` lets a compilation go on."""

    def __init__(self, make: Callable[[Mapping[str, tuple[int, ...]]], Any] | None = None) -> None:
        self.make = make or (lambda shapes: Doubler())
        self.asked: list[Mapping[str, tuple[int, ...]]] = []
        self.made: list[Any] = []
        self.at_once, self.most_at_once = 0, 0
        self.gate: threading.Event | None = None

    def __call__(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        self.asked.append(shapes)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.gate is not None:
            self.gate.wait(10)
        self.at_once -= 1
        self.made.append(self.make(shapes))
        return self.made[-1]


def feed(size: int) -> dict[str, Any]:
    return {"x": np.arange(size, dtype=np.float32)}


def sizes(*of: int) -> list[Sizes]:
    return [(("x", (size,)),) for size in of]


@contextmanager
def served(compiler: Compiler, **limits: Any) -> Iterator[tuple[OpenSizesModel, Doubler]]:
    anywhere = Doubler(0.0)
    given = Limits(**{"bytes": 1000, "rest": 0.0, **limits})
    model = OpenSizesModel(anywhere, compiler, given)
    try:
        yield model, anywhere
    finally:
        model.close()


def ask(model: OpenSizesModel, *of: int, times: int = 1) -> None:
    for size in of:
        for _ in range(times):
            np.testing.assert_array_equal(model.run(feed(size))["y"], 2 * feed(size)["x"])


def test_sizes_are_compiled_when_they_come_the_third_time() -> None:
    compiler = Compiler()
    with served(compiler) as (model, anywhere):
        ask(model, 4, 5, times=2)
        assert not compiler.asked and model.shares.nodes == 0.0
        ask(model, 4)
        assert model.settle()
        assert compiler.asked == [{"x": (4,)}] and list(model.compiled) == sizes(4)
        assert anywhere.runs == 5 and model.shares.nodes == 1.0
        ask(model, 4, times=3)
        assert anywhere.runs == 5 and compiler.made[0].runs == 3
        assert model.profile(feed(4), 1) is compiler.made[0] and model.profile(feed(9), 1) is anywhere
    assert anywhere.closed and compiler.made[0].closed


def test_the_least_recently_used_goes_first() -> None:
    compiler = Compiler()
    with served(compiler, programs=2) as (model, _):
        for size in (1, 2):
            ask(model, size, times=3)
            assert model.settle()
        ask(model, 1)
        ask(model, 3, times=3)
        assert model.settle()
        assert list(model.compiled) == sizes(1, 3)
        assert [made.closed for made in compiler.made] == [False, True, False]


def test_memory_is_bounded() -> None:
    compiler = Compiler(lambda shapes: Doubler(size=shapes["x"][0]))
    with served(compiler, bytes=100) as (model, _):
        for size in (40, 50, 60):
            ask(model, size, times=3)
            assert model.settle()
        assert list(model.compiled) == sizes(60)
        ask(model, 101, times=5)
        assert model.settle()
        assert list(model.compiled) == sizes(60) and compiler.made[-1].closed
        assert "101 bytes" in model.failed[sizes(101)[0]]
        assert len(compiler.asked) == 4


@pytest.mark.parametrize("how", ["refusal", "error"])
def test_what_failed_is_not_tried_again(how: str) -> None:
    def fail(shapes: Mapping[str, tuple[int, ...]]) -> Any:
        if how == "error":
            raise MemoryError("no room")
        return Refusal("nothing to gain")

    compiler = Compiler(fail)
    with served(compiler, failures=2) as (model, _):
        for size in (1, 2, 3):
            ask(model, size, times=9)
            assert model.settle()
        assert [shapes["x"] for shapes in compiler.asked] == [(1,), (2,)], "after two failures nobody tries any more"
        assert set(model.failed.values()) == {"no room" if how == "error" else "nothing to gain"}


def test_never_two_at_once_and_only_a_few_wait() -> None:
    compiler = Compiler()
    compiler.gate = threading.Event()
    with served(compiler, waiting=2) as (model, _):
        ask(model, 1, times=3)
        while not compiler.asked:
            time.sleep(0.001)
        ask(model, *range(1, 9), times=5)
        assert not model.settle(0.05)
        compiler.gate.set()
        assert model.settle()
        assert len(compiler.asked) == 3 and compiler.most_at_once == 1
        ask(model, 8)
        assert model.settle()
        assert compiler.asked[-1] == {"x": (8,)}, "those who found no place are asked for again"


def test_sizes_that_change_all_the_time_do_not_keep_a_core_busy() -> None:
    def slow(shapes: Mapping[str, tuple[int, ...]]) -> Any:
        time.sleep(0.02)
        return Doubler()

    compiler = Compiler(slow)
    with served(compiler, programs=1, rest=1000.0) as (model, _):
        for size in (1, 2):
            ask(model, size, times=3)
            assert model.settle()
        ask(model, 3, 4, 5, times=30)
        assert not model.settle(0.1), "somebody had to go: what comes next waits"
        assert len(compiler.asked) == 2


def test_only_so_many_sizes_are_remembered() -> None:
    with served(Compiler(), remembered=8) as (model, _):
        for _ in range(2):
            ask(model, *range(1, 200))
        assert len(model._programs._asked) <= 8
        ask(model, 7, times=3)
        assert model.settle() and list(model.compiled) == sizes(7)


def test_errors_do_not_count_and_nothing_is_compiled_for_them() -> None:
    compiler = Compiler()
    with served(compiler) as (model, anywhere):
        for wrong in ({}, {"z": np.ones(3)}, {**feed(3), "z": np.ones(3)}):
            with pytest.raises(ValueError, match="inputs are x; wrong or missing"):
                model.run(wrong)

        def refuse(arrays: Arrays) -> Any:
            raise RuntimeError("not these")

        anywhere.run = refuse  # type: ignore[method-assign]
        for _ in range(9):
            with pytest.raises(RuntimeError, match="not these"):
                model.run(feed(3))
        assert model.settle() and not compiler.asked


def test_empty_tensors_and_lists_are_never_compiled() -> None:
    compiler = Compiler()
    with served(compiler) as (model, _):
        ask(model, 0, times=9)
        for _ in range(9):
            model.run({"x": [1.0, 2.0]})  # type: ignore[dict-item]
        assert model.settle() and not compiler.asked


def test_programs_that_go_are_closed_when_the_last_one_has_left() -> None:
    compiler = Compiler()
    with served(compiler, programs=1) as (model, _), ThreadPoolExecutor(1) as pool:
        ask(model, 1, times=3)
        assert model.settle()
        first = compiler.made[0]
        first.hold = threading.Event()
        running = pool.submit(model.run, feed(1))
        while not first.inside:
            time.sleep(0.001)
        ask(model, 2, times=3)
        assert model.settle()
        assert list(model.compiled) == sizes(2) and not first.closed
        first.hold.set()
        running.result(10)
        assert first.closed


def test_closing_while_it_compiles_throws_the_result_away() -> None:
    compiler = Compiler()
    compiler.gate = threading.Event()
    with served(compiler) as (model, anywhere):
        ask(model, 1, 2, times=3)
        while not compiler.asked:
            time.sleep(0.001)
        thread = model._programs._thread
        model.close()
        assert anywhere.closed, "closing does not wait for the compiler"
        with pytest.raises(RuntimeError, match="closed"):
            model.run(feed(1))
        compiler.gate.set()
        assert thread is not None
        thread.join(10)
        assert not thread.is_alive() and compiler.made[0].closed and len(compiler.asked) == 1
        model.close()


def test_a_model_nobody_closed_ends_its_thread() -> None:
    compiler = Compiler()
    model = OpenSizesModel(Doubler(0.0), compiler, Limits(bytes=1000, rest=0.0))
    ask(model, 1, times=3)
    assert model.settle()
    thread = model._programs._thread
    del model
    gc.collect()
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive() and compiler.made[0].closed


def test_many_threads_with_many_sizes() -> None:
    compiler = Compiler()
    with served(compiler, programs=2) as (model, _), ThreadPoolExecutor(6) as pool:

        def hammer(seed: int) -> None:
            random = np.random.default_rng(seed)
            for size in random.integers(1, 7, 400):
                ask(model, int(size))

        for one in [pool.submit(hammer, seed) for seed in range(6)]:
            one.result(60)
        assert model.settle()
        assert len(model.compiled) <= 2 and compiler.most_at_once == 1
        assert sum(not made.closed for made in compiler.made) == len(model.compiled)


needs_kernels = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


def images(batch: int, seed: int = 0) -> dict[str, Any]:
    return {"image": np.random.default_rng(seed).standard_normal((batch, 3, 32, 32), dtype=np.float32)}


@pytest.fixture()
def opened(open_conv_net: Path) -> Iterator[OpenSizesModel]:
    model = BACKEND.load(open_conv_net, Candidate("native", {"winograd": True}, 2))
    assert isinstance(model, OpenSizesModel)
    yield model
    model.close()


@needs_kernels
def test_a_real_model_is_compiled_and_agrees(opened: OpenSizesModel, open_conv_net: Path) -> None:
    reference = ONNXRUNTIME.load(open_conv_net, reference_candidate())
    for batch in (1, 3):
        for seed in range(5):
            expected = reference.run(images(batch, seed))
            for name, found in opened.run(images(batch, seed)).items():
                np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-4)
            assert opened.settle(120)
    assert [dict(key)["image"][0] for key in opened.compiled] == [1, 3]
    assert all(isinstance(made, NativeModel) and made.memory_bytes > 0 for made in opened.compiled.values())
    assert opened.shares.to_json()["native_share"] == {"nodes": 1.0, "time": 1.0}
    reference.close()


@needs_kernels
def test_threads_hammer_a_real_model_that_is_closed_meanwhile(opened: OpenSizesModel) -> None:
    expected = {batch: opened.run(images(batch)) for batch in (1, 2, 3)}
    closing = threading.Event()

    def hammer(seed: int) -> int:
        random, done = np.random.default_rng(seed), 0
        while True:
            batch = int(random.integers(1, 4))
            try:
                found = opened.run(images(batch))
            except RuntimeError as why:
                assert closing.is_set() and "closed" in str(why)
                return done
            for name, wanted in expected[batch].items():
                np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-4)
            done += 1

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(hammer, seed) for seed in range(4)]
        end = time.monotonic() + 60
        while len(opened.compiled) < 1 and time.monotonic() < end:
            time.sleep(0.01)
        closing.set()
        opened.close()
        assert all(one.result(60) > 0 for one in running)


@needs_kernels
def test_wrong_inputs_of_a_real_model(opened: OpenSizesModel) -> None:
    for _ in range(2):  # before it is compiled, and after
        with pytest.raises(ValueError, match="image"):
            opened.run({})
        with pytest.raises(Exception, match=r"double|float64"):
            opened.run({"image": images(1)["image"].astype(np.float64)})
        with pytest.raises(Exception, match="image"):
            opened.run({"image": images(1)["image"][:, :2]})
        for _ in range(3):
            opened.run(images(1))
        assert opened.settle(120)
    assert len(opened.compiled) == 1 and not opened.failed


@needs_kernels
def test_a_file_that_was_replaced_is_not_compiled(tmp_path: Path) -> None:
    path = models.convolutions(tmp_path / "model.onnx", batch="N")
    model = BACKEND.load(path, Candidate("native", {}, 1))
    assert isinstance(model, OpenSizesModel)
    models.convolutions(tmp_path / "other.onnx", batch="N", size=32, named=True).replace(path)
    for _ in range(4):
        model.run(images(1))
    assert model.settle(60) and not model.compiled
    assert "another one" in next(iter(model.failed.values()))
    model.close()


@needs_kernels
def test_a_program_that_forgets_its_model_ends_well_while_it_compiles(open_conv_net: Path) -> None:
    program = (
        "import sys, numpy as np; from pathlib import Path;"
        "from rooftune.execute.backend import Candidate, find_backend;"
        "m = find_backend('native').load(Path(sys.argv[1]), Candidate('native', {}, 1));"
        "[m.run({'image': np.ones((1, 3, 32, 32), np.float32)}) for _ in range(3)]; print('done')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(open_conv_net)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
