"""OpenVINO on the CPU, held to fp32 where the model is fp32."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import queue
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

__all__ = ["BACKEND", "OpenVino"]

_DTYPES = {
    "f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "boolean": "bool", "string": "string",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u8": "uint8", "u16": "uint16", "u32": "uint32",
    "u64": "uint64", "i4": "int4", "u4": "uint4", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2",
}  # fmt: skip


def _candidate(threads: int, label: str, concurrency: int = 1, **properties: Any) -> Candidate:
    """Settings are the engine's own property names. fp32 is asked for always: left alone it picks bf16 by itself."""
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    return Candidate("openvino", {**exact, **properties}, threads, concurrency, label)


class OpenVino:
    """Intel's engine; on other x86 and Arm CPUs it runs as well."""

    name = "openvino"
    peer = True

    def available(self) -> Refusal | None:
        if importlib.util.find_spec("openvino") is None:
            return Refusal("not installed: pip install rooftune[openvino]", at=self.name)
        return None

    def version(self) -> str:
        try:
            return importlib.metadata.version("openvino")
        except importlib.metadata.PackageNotFoundError:
            return ""

    def refuses(self, model: Model) -> Refusal | None:
        return None

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        if objective == "throughput":
            return _candidate(threads, "throughput", threads, PERFORMANCE_HINT="THROUGHPUT")
        return _candidate(threads, "latency", PERFORMANCE_HINT="LATENCY")

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        found = [self.default(threads, objective)]
        if objective == "throughput":
            streams = threads
            while streams >= 1:
                for requests in (streams, 2 * streams):
                    label = f"{streams} stream{'s' if streams > 1 else ''}"
                    found.append(_candidate(threads, label, requests, NUM_STREAMS=str(streams)))
                streams //= 2
            return found
        if threads > 1:
            found.append(_candidate(threads, "latency, unpinned", PERFORMANCE_HINT="LATENCY", ENABLE_CPU_PINNING=False))
            found.append(
                _candidate(threads, "latency, static partitioner", PERFORMANCE_HINT="LATENCY", TBB_PARTITIONER="STATIC")
            )
            found.append(
                _candidate(threads, "latency, auto partitioner", PERFORMANCE_HINT="LATENCY", TBB_PARTITIONER="AUTO")
            )
        return found

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> OpenVinoModel:
        return OpenVinoModel(model_path, candidate, input_shapes)


class OpenVinoModel:
    """A compiled model and as many requests as may be in flight, with arrays in and arrays out."""

    def __init__(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None
    ) -> None:
        import openvino

        self._openvino = openvino
        self._path = model_path
        self._candidate = candidate
        self._shapes = input_shapes
        self._core: Any = openvino.Core()
        model = read_model(self._core, model_path, input_shapes)
        self.inputs = dict(zip(input_names(model), map(_spec, model.inputs)))
        self.outputs = {_port_name(p, r): _spec(p) for p, r in zip(model.outputs, model.get_results())}
        self._compiled: Any = self._core.compile_model(model, "CPU", dict(candidate.settings))
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(candidate.concurrency):
            self._requests.put(self._compiled.create_infer_request())

    def run(self, arrays: Arrays) -> dict[str, Any]:
        check_names(self.inputs, arrays)
        request = self._requests.get()
        try:
            for index, name in enumerate(self.inputs):
                array = np.ascontiguousarray(arrays[name])
                request.set_input_tensor(index, self._openvino.Tensor(array, shared_memory=array.size > 0))
            request.infer()
            return {name: request.get_output_tensor(index).data.copy() for index, name in enumerate(self.outputs)}
        finally:
            self._requests.put(request)

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        from rooftune.execute.traces.openvino import profile_model

        return profile_model(self._core, self._path, self._candidate, self._shapes, self.run, arrays, runs)

    def close(self) -> None:
        self._requests = queue.SimpleQueue()
        self._compiled = None
        self._core = None


def read_model(core: Any, model_path: Path, input_shapes: Mapping[str, Sequence[int]] | None) -> Any:
    """The model as the engine reads it, open dimensions bound where `input_shapes` says so."""
    model = core.read_model(str(model_path))
    if input_shapes and model.is_dynamic():
        model.reshape({name: list(shape) for name, shape in input_shapes.items()})
    return model


def input_names(model: Any) -> list[str]:
    """The model's own names of its inputs, in the order of its ports."""
    return [_port_name(port, port.get_node()) for port in model.inputs]


def check_names(expected: Mapping[str, TensorSpec], given: Arrays) -> None:
    """Raise ValueError unless exactly the expected inputs are there: the engine itself goes by position."""
    missing, surplus = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or surplus:
        raise ValueError(
            f"the inputs are {', '.join(expected) or 'none'};"
            + (f" missing: {', '.join(missing)};" if missing else "")
            + (f" not an input: {', '.join(surplus)}" if surplus else "")
        )


def _port_name(port: Any, node: Any) -> str:
    """The model's own name of an input or output: a port may carry several after values were merged."""
    names = port.get_names()
    friendly = str(node.get_friendly_name()).split("/sink_port_")[0]
    return friendly if friendly in names or not names else sorted(names)[0]


def _spec(port: Any) -> TensorSpec:
    shape = tuple(int(d.get_length()) if d.is_static else None for d in port.get_partial_shape())
    text = str(port.get_element_type().get_type_name())
    return TensorSpec(_DTYPES.get(text, text), shape)


BACKEND = OpenVino()
