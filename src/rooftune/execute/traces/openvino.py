"""OpenVINO's own profile: counters of a request, and the graph it really runs with the layers each node came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rooftune.execute.attribution import Attribution, EngineNode, attribute
from rooftune.execute.backend import Candidate
from rooftune.execute.profile import Kernel, Profile, assemble_profile
from rooftune.execute.traces.interleave import WARM_UP_RUNS, time_both
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
    readings: list[dict[str, float]] = []

    def profiled() -> None:
        request.infer()
        readings.append(_counters(request) if len(readings) in (WARM_UP_RUNS - 1, WARM_UP_RUNS + runs - 1) else {})

    times = time_both(lambda: plain(arrays), profiled, runs)
    spent = _mean_seconds(readings[WARM_UP_RUNS - 1], readings[-1], WARM_UP_RUNS, runs)
    usual = min(1.0, times.profiled_median / times.profiled_mean)  # counters know means only: take bursts out
    engine = _engine_nodes(compiled.get_runtime_model(), spent.keys())
    types = _types(request)
    found = attribute(read_source(model_path), engine)
    kernels = []
    for key, seconds in spent.items():
        attribution = found.get(key, Attribution())
        kernels.append(Kernel(key, types.get(key, ""), seconds * usual, attribution.nodes, attribution.how))
    return assemble_profile(
        backend=candidate.backend,
        settings=candidate.settings,
        threads=candidate.threads,
        kernels=kernels,
        model_seconds=times.plain_median,
        profiled_seconds=times.profiled_median,
        runs=runs,
    )


def _counters(request: Any) -> dict[str, float]:
    """Mean seconds by engine node over all runs since it was compiled, of those that ran."""
    spent: dict[str, float] = {}
    for counter in request.profiling_info:
        if str(counter.status).endswith("EXECUTED"):
            spent[counter.node_name] = spent.get(counter.node_name, 0.0) + counter.real_time.total_seconds()
    return spent


def _mean_seconds(early: Mapping[str, float], late: Mapping[str, float], before: int, runs: int) -> dict[str, float]:
    """Mean over the `runs` runs between two readings of counters that hold the mean of all runs so far.

    Readings are cut to whole microseconds, so half a tick is added to each.
    """
    half_tick = 0.5e-6
    spent: dict[str, float] = {}
    for key, mean in late.items():
        total = (mean + half_tick) * (before + runs)
        earlier = (early[key] + half_tick) * before if key in early else 0.0
        spent[key] = max(0.0, (total - earlier) / runs)
    return spent


def _types(request: Any) -> dict[str, str]:
    """Type and implementation of every engine node: `Convolution brgconv_avx512_f32`."""
    return {c.node_name: f"{c.node_type} {c.exec_type}" for c in request.profiling_info}


def _engine_nodes(runtime_model: Any, executed: Collection[str]) -> list[EngineNode]:
    """The executed graph in the order it runs; what was done at compile time or in place is looked through."""
    nodes: list[tuple[int, EngineNode]] = []
    through: dict[str, str] = {}
    for op in runtime_model.get_ordered_ops():
        info = op.get_rt_info()
        layer = _text(info, "layerType")
        name = op.get_friendly_name()
        inputs = [i.get_source_output().get_node().get_friendly_name() for i in op.inputs()]
        if name not in executed:
            through[name] = through.get(inputs[0], inputs[0]) if inputs else name
            continue
        hints = tuple(h for h in _text(info, "originalLayersNames").split(",") if h)
        node = EngineNode(
            key=name,
            type=layer,
            inputs=tuple(f"@{through.get(i, i)}" for i in inputs),
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
