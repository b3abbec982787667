"""What every backend must do. A backend's tests are a class of three lines: see test_onnxruntime.py."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from rooftune.execute.backend import Backend, Candidate, ModelFacts, find_backend
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.inputs import random_inputs
from rooftune.execute.placement import usable_cpus
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.protocols import Arrays

from . import models

_BUILDERS = {"convolutions": models.convolutions, "attention": models.attention, "masks": models.masks}


def error(result: Arrays, reference: Arrays) -> float:
    """Max over outputs of max abs difference / max abs reference."""
    assert set(result) == set(reference)
    worst = 0.0
    for name, expected in reference.items():
        assert result[name].dtype == expected.dtype and result[name].shape == expected.shape
        if expected.size:
            spread = np.abs(expected.astype(np.float64)).max()
            assert spread > 0 and np.ptp(expected) > 0, "an output without spread proves nothing"
            worst = max(worst, float(np.abs(result[name].astype(np.float64) - expected).max() / spread))
    return worst


def on_reference(path: Path, inputs: Arrays) -> Arrays:
    with Worker(reference_candidate(), path) as worker:
        return worker.run(inputs)


class BackendConformance:
    """Inherit, name it `Test...`, and say which `backend` is meant."""

    backend_name: str

    @pytest.fixture()
    def backend(self) -> Backend:
        return find_backend(self.backend_name)

    def test_it_says_who_it_is(self, backend: Backend) -> None:
        assert backend.name == self.backend_name
        assert backend.available() is None
        assert backend.version().count(".") >= 1

    @pytest.mark.parametrize("objective", ["latency", "throughput"])
    @pytest.mark.parametrize("threads", [1, 2, 4, 7])
    def test_its_space_starts_with_the_default_and_names_differ(
        self, backend: Backend, threads: int, objective: str
    ) -> None:
        space = backend.space(threads, objective, ModelFacts(branches=True))
        assert space[0] == backend.default(threads, objective)
        assert len({c.name for c in space}) == len(space) == len(set(space))
        for candidate in space:
            assert candidate.threads == threads
            assert Candidate.from_json(candidate.to_json()) == candidate

    @pytest.mark.parametrize("model", sorted(_BUILDERS))
    def test_it_agrees_with_the_reference(self, backend: Backend, model: str, tmp_path: Path) -> None:
        path = _BUILDERS[model](tmp_path / "model.onnx")
        with Worker(backend.default(1), path) as worker:
            inputs = random_inputs(worker.loaded.inputs, seed=3)
            result = worker.run(inputs)
            again = worker.run(inputs)
        assert error(result, on_reference(path, inputs)) <= 1e-5
        assert all(np.array_equal(result[name], again[name]) for name in result)

    def test_every_candidate_of_its_space_runs_and_agrees(self, backend: Backend, tmp_path: Path) -> None:
        path = models.convolutions(tmp_path / "model.onnx")
        candidates = [
            *backend.space(2, "latency", ModelFacts(branches=True)),
            *backend.space(2, "throughput", ModelFacts(branches=True)),
        ]
        expected: Arrays | None = None
        for candidate in dict.fromkeys(candidates):
            with Worker(candidate, path) as worker:
                inputs = random_inputs(worker.loaded.inputs)
                expected = expected or on_reference(path, inputs)
                assert error(worker.run(inputs), expected) <= 1e-5, candidate.name
                worker.feed(inputs)
                assert all(seconds > 0 for seconds in worker.time(4))

    @pytest.mark.parametrize("threads", [1, 2])
    def test_it_obeys_the_number_of_threads(self, backend: Backend, threads: int, tmp_path: Path) -> None:
        if len(usable_cpus()) < threads:
            pytest.skip("fewer CPUs than threads")
        path = models.convolutions(tmp_path / "model.onnx", size=96)
        with Worker(backend.default(threads), path) as worker:
            worker.feed(random_inputs(worker.loaded.inputs))
            worker.time(5)
            before = {t["id"]: t["cpu_seconds"] for t in worker.status()["threads"]}
            spent: dict[int, float] = {}
            for _ in range(200):
                worker.time(50)
                spent = {t["id"]: t["cpu_seconds"] - before.get(t["id"], 0.0) for t in worker.status()["threads"]}
                if sum(spent.values()) > 0.5:
                    break
            assert len(worker.cpus) == threads
        busy = [seconds for seconds in spent.values() if seconds > 0.1 * max(spent.values())]
        assert 1 <= len(busy) <= threads

    def test_wrong_input_names_are_an_error_in_words(self, backend: Backend, tmp_path: Path) -> None:
        path = models.sums(tmp_path / "model.onnx", TensorProto.FLOAT)
        value = np.ones((4, 5), np.float32)
        with Worker(backend.default(1), path) as worker:
            with pytest.raises(EngineFailure, match="middle"):
                worker.run({"left": value, "middle": value})
            with pytest.raises(EngineFailure, match="right"):
                worker.run({"left": value})
            assert error(worker.run({"left": value, "right": _ramp()}), {"value1": 2 * value + _ramp()}) <= 1e-6

    def test_open_dimensions_may_change_from_run_to_run(self, backend: Backend, tmp_path: Path) -> None:
        path = models.convolutions(tmp_path / "model.onnx", batch="N")
        stream = np.random.default_rng(1)
        with Worker(backend.default(1), path) as worker:
            assert not isinstance(worker.loaded.inputs["image"].shape[0], int)
            for batch in (1, 3):
                inputs = {"image": stream.standard_normal((batch, 3, 32, 32), dtype=np.float32)}
                assert error(worker.run(inputs), on_reference(path, inputs)) <= 1e-5

    def test_open_dimensions_can_be_bound(self, backend: Backend, tmp_path: Path) -> None:
        path = models.convolutions(tmp_path / "model.onnx", batch="N")
        inputs = {"image": np.random.default_rng(1).standard_normal((2, 3, 32, 32), dtype=np.float32)}
        with Worker(backend.default(1), path, input_shapes={"image": (2, 3, 32, 32)}) as worker:
            assert error(worker.run(inputs), on_reference(path, inputs)) <= 1e-5

    @pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16", "INT32", "INT64"])
    def test_it_runs_the_usual_element_types(self, backend: Backend, dtype: str, tmp_path: Path) -> None:
        path = models.sums(tmp_path / "model.onnx", getattr(TensorProto, dtype))
        with Worker(backend.default(1), path) as worker:
            inputs = random_inputs(worker.loaded.inputs)
            result = worker.run(inputs)
        expected = {"value1": 2 * inputs["left"] + inputs["right"]}
        assert error(result, expected) <= (2e-3 if dtype == "FLOAT16" else 1e-6)

    def test_zero_size_tensors_are_legal(self, backend: Backend, tmp_path: Path) -> None:
        path = models.sums(tmp_path / "model.onnx", TensorProto.FLOAT, ["N", 5])
        empty = np.zeros((0, 5), np.float32)
        with Worker(backend.default(1), path) as worker:
            assert worker.run({"left": empty, "right": empty})["value1"].shape == (0, 5)

    def test_an_unknown_operator_is_refused_in_the_engines_words(self, backend: Backend, tmp_path: Path) -> None:
        with pytest.raises(EngineFailure, match="Frobnicate") as caught:
            Worker(backend.default(1), models.strangers(tmp_path / "model.onnx"))
        assert caught.value.kind == "refused"

    @pytest.mark.parametrize("model", ["convolutions", "attention"])
    def test_its_profile_adds_up_and_names_source_operators(self, backend: Backend, model: str, tmp_path: Path) -> None:
        path = _BUILDERS[model](tmp_path / "model.onnx")
        with Worker(backend.default(1), path) as worker:
            worker.feed(random_inputs(worker.loaded.inputs))
            profile = worker.profile(runs=8)
        assert profile.kernels and profile.model_seconds > 0
        assert sum(k.seconds for k in profile.kernels) + profile.residual_seconds == pytest.approx(
            profile.model_seconds, rel=1e-6
        )
        assert profile.attributed_share >= 0.95
        heavy = {"convolutions": "Conv", "attention": "MatMul"}[model]
        owners = [n for k in profile.kernels if k.how not in ("layout", "neighbour") for n in k.source_nodes]
        wanted = {name for name in _node_names(path) if name.startswith(heavy)}
        assert wanted <= set(owners)
        assert all(owners.count(name) == 1 for name in wanted)

    def test_closing_ends_the_process(self, backend: Backend, tmp_path: Path) -> None:
        worker = Worker(backend.default(1), models.sums(tmp_path / "model.onnx", TensorProto.FLOAT))
        pid = worker.status()["pid"]
        worker.close()
        worker.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _ramp() -> np.ndarray:
    return np.arange(20, dtype=np.float32).reshape(4, 5)


def _node_names(path: Path) -> list[str]:
    import onnx

    return [n.name or f"{n.op_type}_{i}" for i, n in enumerate(onnx.load(path).graph.node)]
