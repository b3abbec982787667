"""OpenVINO's own profile: counters of a request, and the graph it really runs with the layers each node came from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rooftune.execute.attribution import EngineNode, attribute
from rooftune.execute.backend import Candidate
from rooftune.execute.profile import Kernel, Profile, assemble_profile
from rooftune.execute.traces.interleave import time_both
from rooftune.execute.traces.source import read_source
from rooftune.protocols import Arrays

__all__ = ["profile_model"]


def profile_model(
    core: Any,
    model_path: Path,
    candidate: Candidate,
    input_shapes: Mapping[str, Sequence[int]] | None,
    plain: Callable[[Arrays], Mapping[str, Any]],
    arrays: Arrays,
    runs: int,
) -> Profile:
    """Profile in a second compiled model with counters on, beside the one that is timed."""
    import openvino

    from rooftune.execute.backends.openvino import input_names, read_model

    model = read_model(core, model_path, input_shapes)
    names = input_names(model)
    compiled = core.compile_model(model, "CPU", {**candidate.settings, "PERF_COUNT": True})
    request = compiled.create_infer_request()
    for index, name in enumerate(names):
        array = np.ascontiguousarray(arrays[name])
        request.set_input_tensor(index, openvino.Tensor(array, shared_memory=array.size > 0))
    counters: list[dict[str, float]] = []

    def profiled() -> None:
        request.infer()
        counters.append(_counters(request))

    model_seconds, profiled_seconds = time_both(lambda: plain(arrays), profiled, runs)
    engine = _engine_nodes(compiled.get_runtime_model())
    types = _types(request)
    found = attribute(read_source(model_path), engine)
    kernels = []
    for key in dict.fromkeys(name for run in counters for name in run):
        seconds = statistics.median(run.get(key, 0.0) for run in counters[-runs:])
        attribution = found.get(key)
        kernels.append(
            Kernel(
                key,
                types.get(key, ""),
                seconds,
                attribution.nodes if attribution else (),
                attribution.how if attribution else "",
            )
        )
    return assemble_profile(
        backend=candidate.backend,
        settings=candidate.settings,
        threads=candidate.threads,
        kernels=kernels,
        model_seconds=model_seconds,
        profiled_seconds=profiled_seconds,
        runs=runs,
    )


def _counters(request: Any) -> dict[str, float]:
    """Seconds by engine node of the last run, of those that ran."""
    spent: dict[str, float] = {}
    for counter in request.profiling_info:
        if str(counter.status).endswith("EXECUTED"):
            spent[counter.node_name] = spent.get(counter.node_name, 0.0) + counter.real_time.total_seconds()
    return spent


def _types(request: Any) -> dict[str, str]:
    """Type and implementation of every engine node: `Convolution brgconv_avx512_f32`."""
    return {c.node_name: f"{c.node_type} {c.exec_type}" for c in request.profiling_info}


def _engine_nodes(runtime_model: Any) -> list[EngineNode]:
    """The executed graph in the order it runs; constants and what was done at compile time are left out."""
    nodes: list[tuple[int, EngineNode]] = []
    for op in runtime_model.get_ordered_ops():
        info = op.get_rt_info()
        layer = _text(info, "layerType")
        if layer in ("Input", "Const", "Output", "Result"):
            continue
        name = op.get_friendly_name()
        hints = tuple(h for h in _text(info, "originalLayersNames").split(",") if h)
        node = EngineNode(
            key=name,
            type=layer,
            inputs=tuple(f"@{i.get_source_output().get_node().get_friendly_name()}" for i in op.inputs()),
            outputs=(f"@{name}",),
            hints=hints or (name,),
            closed=True,
        )
        nodes.append((int(_text(info, "execOrder") or 0), node))
    return [node for _, node in sorted(nodes, key=lambda pair: pair[0])]


def _text(info: Any, key: str) -> str:
    if key not in info:
        return ""
    value = info[key]
    return str(value.astype(str) if hasattr(value, "astype") else value)
