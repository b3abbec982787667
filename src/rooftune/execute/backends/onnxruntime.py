"""ONNX Runtime on the CPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rooftune.execute.backend import Candidate, ModelFacts, TensorSpec
from rooftune.protocols import Arrays
from rooftune.verdicts import Refusal

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile
    from rooftune.graph.model import Model

__all__ = ["BACKEND", "OnnxRuntime", "reference_candidate"]

_SPIN_DURATION = "session.intra_op.spin_duration_us"
_SPIN_DURATION_SINCE = (1, 26)
_LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
# element types NumPy does not have of its own, with their numbers in the ONNX format
_FOREIGN = {"bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20}
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "bfloat16": "bfloat16",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
}


def reference_candidate(threads: int = 1) -> Candidate:
    """The original model with every optimisation off: what results are verified against, never timed."""
    return _candidate("none", threads, label="reference")


def _candidate(
    optimisation: str,
    threads: int,
    *,
    label: str = "",
    spinning: bool = True,
    spin_duration_us: int | None = None,
    parallel_branches: int = 1,
    concurrency: int = 1,
) -> Candidate:
    """`threads` is the sum over the callers' threads and all workers of both pools."""
    words = [label or optimisation]
    settings: dict[str, Any] = {"optimisation": optimisation}
    if threads > concurrency:
        settings["spinning"] = spinning
        words += [] if spinning else ["no spinning"]
    if spin_duration_us is not None:
        settings["spin_duration_us"] = spin_duration_us
        words.append(f"spin {spin_duration_us} µs")
    if parallel_branches > 1:
        settings["parallel_branches"] = parallel_branches
        words.append(f"{parallel_branches} branches at once")
    # `concurrency` callers compute themselves and share the pool's workers
    settings["intra_op_threads"] = max(1, (threads - concurrency + 1) // parallel_branches)
    return Candidate("onnxruntime", settings, threads, concurrency, ", ".join(words))


class OnnxRuntime:
    """The engine most models are deployed with; sessions run on the CPU execution provider only."""

    name = "onnxruntime"
    peer = True

    def available(self) -> Refusal | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return Refusal("not installed: pip install onnxruntime", at=self.name)
        return None

    def version(self) -> str:
        try:
            return importlib.metadata.version("onnxruntime")
        except importlib.metadata.PackageNotFoundError:
            return ""

    def refuses(self, model: Model) -> Refusal | None:
        return None

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        return _candidate("all", threads, concurrency=threads if objective == "throughput" else 1)

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        found = [self.default(threads, objective)]
        if objective == "throughput":
            concurrency = threads
            while concurrency >= 1:
                for level in ("all", "extended"):
                    found.append(_candidate(level, threads, concurrency=concurrency))
                    if threads > concurrency:
                        found.append(_candidate(level, threads, concurrency=concurrency, spinning=False))
                concurrency //= 2
            return list(dict.fromkeys(found))
        found.append(_candidate("extended", threads))
        if threads > 1:
            found.append(_candidate("all", threads, spinning=False))
            found.append(_candidate("extended", threads, spinning=False))
            if self._version_tuple() >= _SPIN_DURATION_SINCE:
                found += [_candidate("all", threads, spin_duration_us=us) for us in (200, 5000)]
            if facts is not None and facts.branches:
                found.append(_candidate("all", threads, parallel_branches=2))
        return found

    def _version_tuple(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version().split(".")[:2] if part.isdigit())

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> OnnxRuntimeModel:
        return OnnxRuntimeModel(model_path, candidate)


def session_options(candidate: Candidate) -> Any:
    """The engine's options for a candidate; thread counts are always explicit (0 sets affinities of its own)."""
    import onnxruntime

    settings = candidate.settings
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[settings["optimisation"]])
    options.intra_op_num_threads = int(settings["intra_op_threads"])
    branches = int(settings.get("parallel_branches", 1))
    options.inter_op_num_threads = branches
    options.execution_mode = (
        onnxruntime.ExecutionMode.ORT_PARALLEL if branches > 1 else onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    )
    spinning = "1" if settings.get("spinning", True) else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    if settings.get("stop_spinning"):
        # between two runs; within one they may spin
        options.add_session_config_entry("session.force_spinning_stop", "1")
    if "spin_duration_us" in settings:
        options.add_session_config_entry(_SPIN_DURATION, str(settings["spin_duration_us"]))
    return options


class OnnxRuntimeModel:
    """A session, with arrays in and arrays out."""

    def __init__(self, model_path: Path, candidate: Candidate) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        onnxruntime.set_default_logger_severity(4)
        self._path = model_path
        self._candidate = candidate
        self._session: Any = onnxruntime.InferenceSession(
            str(model_path), session_options(candidate), providers=["CPUExecutionProvider"]
        )
        self.inputs = {i.name: _spec(i) for i in self._session.get_inputs()}
        self.outputs = {o.name: _spec(o) for o in self._session.get_outputs()}
        self._names = list(self.outputs)
        specs = (*self.inputs.values(), *self.outputs.values())
        self._foreign = any(s.dtype in _FOREIGN for s in specs)

    def run(self, arrays: Arrays) -> dict[str, Any]:
        # held here, so that closing the model meanwhile does not take it away
        session = self._session
        if session is None:
            raise RuntimeError("the model is closed")
        if self._foreign:
            return _run_foreign(session, self._names, arrays)
        return dict(zip(self._names, session.run(self._names, arrays)))

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        from rooftune.execute.traces.onnxruntime import profile_session

        with tempfile.TemporaryDirectory(prefix="rooftune-profile-") as folder:
            return profile_session(self._path, self._candidate, self.run, arrays, runs, Path(folder))

    def close(self) -> None:
        self._session = None


def _spec(node: Any) -> TensorSpec:
    text = node.type.removeprefix("tensor(").removesuffix(")")
    return TensorSpec(_DTYPES.get(text, text), tuple(node.shape))


def _run_foreign(session: Any, names: Sequence[str], arrays: Arrays) -> dict[str, Any]:
    """As `run`, through the engine's own tensors, for element types NumPy lacks."""
    import ml_dtypes
    import onnxruntime

    given: dict[str, Any] = {}
    for name, array in arrays.items():
        foreign = _FOREIGN.get(array.dtype.name)
        if foreign is None:
            given[name] = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        else:
            plain = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
            given[name] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(plain, foreign)
    numbers = {number: name for name, number in _FOREIGN.items()}
    results: dict[str, Any] = {}
    for name, value in zip(names, session.run_with_ort_values(list(names), given)):
        foreign_name = numbers.get(value.element_type())
        results[name] = value.numpy() if foreign_name is None else value.numpy().view(getattr(ml_dtypes, foreign_name))
    return results


BACKEND = OnnxRuntime()
