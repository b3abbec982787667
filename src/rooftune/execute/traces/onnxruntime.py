"""ONNX Runtime's own profile: a Chrome trace with one event per kernel, and the graph it really runs."""

from __future__ import annotations

import json
import os
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rooftune.execute.attribution import EngineNode, attribute
from rooftune.execute.backend import Candidate
from rooftune.execute.profile import Kernel, Profile, assemble_profile
from rooftune.execute.traces.interleave import time_both
from rooftune.execute.traces.source import read_source
from rooftune.protocols import Arrays

__all__ = ["profile_session"]

_KERNEL = "_kernel_time"
_BLOCKED = "com.microsoft.nchwc"
_TICK_SECONDS = 1e-6
_BODIES = frozenset({"If", "Loop", "Scan", "SequenceMap"})  # their events contain those of their bodies


def profile_session(
    model_path: Path,
    candidate: Candidate,
    plain: Callable[[Arrays], Mapping[str, Any]],
    arrays: Arrays,
    runs: int,
    folder: Path,
) -> Profile:
    """Profile in a second session beside the one that is timed; `folder` takes the trace and the graph."""
    import onnxruntime

    from rooftune.execute.backends.onnxruntime import session_options

    options = session_options(candidate)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "trace")
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    _discard_weights(options, folder)
    session = onnxruntime.InferenceSession(str(model_path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    times = time_both(lambda: plain(arrays), lambda: session.run(names, arrays), runs)
    trace = Path(session.end_profiling())
    per_run = _events_per_run(json.loads(trace.read_text()))[-runs:]
    engine = _engine_nodes(folder / "optimised.onnx")
    seconds = _seconds_by_node(per_run, engine)
    found = attribute(read_source(model_path), engine)
    kernels = [
        Kernel(node.key, node.type, seconds[node.key], found[node.key].nodes, found[node.key].how)
        for node in engine
        if node.key in seconds
    ]
    known = {node.key for node in engine}
    kernels += [Kernel(key, key.rpartition(":")[2], spent) for key, spent in seconds.items() if key not in known]
    return assemble_profile(
        backend=candidate.backend,
        settings=candidate.settings,
        threads=candidate.threads,
        kernels=kernels,
        model_seconds=times.plain_median,
        profiled_seconds=times.profiled_median,
        runs=runs,
    )


def _discard_weights(options: Any, folder: Path) -> None:
    """Keep the weights out of the saved graph: they go to a file of their own, which is nowhere if it can be."""
    prefix = "session.optimized_model_external_initializers_"
    if os.name == "posix":
        (folder / "weights").symlink_to(os.devnull)
    options.add_session_config_entry(prefix + "file_name", "weights")
    options.add_session_config_entry(prefix + "min_size_in_bytes", "0")


def _engine_nodes(path: Path) -> list[EngineNode]:
    """The optimised graph in the order it runs; unnamed nodes get their position as key."""
    import onnx_ir

    nodes: list[EngineNode] = []
    for index, node in enumerate(onnx_ir.load(path).graph):
        nodes.append(
            EngineNode(
                key=f"{node.name or index}:{node.op_type}",
                type=node.op_type,
                inputs=tuple(v.name for v in node.inputs if v is not None and v.name),
                outputs=tuple(v.name for v in node.outputs if v.name),
                hints=tuple(_stems(node.name or "")),
                closed=all(_is_generated(v.name or "") for v in node.outputs),
                followed_by=_fused_behind(node),
            )
        )
    return nodes


def _is_generated(tensor: str) -> bool:
    """True for tensors in blocked layout, whose names are the engine's own."""
    return tensor.startswith("reorder")


def _fused_behind(node: Any) -> tuple[frozenset[str], ...]:
    """What a blocked convolution took in behind the node it is named after: a sum (its fourth input), an activation."""
    if node.domain != _BLOCKED or node.op_type != "Conv":
        return ()
    fused: list[frozenset[str]] = []
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        fused.append(frozenset({"Add", "Sum"}))
    if "activation" in node.attributes:
        fused.append(frozenset({node.attributes["activation"].as_string()}))
    return tuple(fused)


def _stems(name: str) -> list[str]:
    """A generated node name with its additions taken off one by one, the longest first.

    The blocked-layout transformer names a kernel after the tensor it first computed (`conv1_out_nchwc`, also
    `..._bn_nchwc` where it made a convolution of a normalisation); fusions append `/SomethingFusion`, and
    `_token_N` keeps names apart.
    """
    stems = [name]
    for pattern in (r"_token_\d+$", r"_nchwc$", r"_(bn|mul|add)$"):
        shorter = re.sub(pattern, "", stems[-1])
        if shorter != stems[-1]:
            stems.append(shorter)
    return [stem for stem in stems if stem]


def _events_per_run(trace: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Kernel events of the main graph, run by run, in the order they ran."""
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in trace if e.get("name") == "model_run")
    kernels = [e for e in trace if e.get("cat") == "Node" and str(e.get("name", "")).endswith(_KERNEL)]
    kernels.sort(key=lambda e: (e["ts"], e["ts"] + e["dur"]))
    per_run: list[list[Mapping[str, Any]]] = []
    at = 0
    for begin, end in spans:
        events: list[Mapping[str, Any]] = []
        while at < len(kernels) and kernels[at]["ts"] <= end:
            if kernels[at]["ts"] >= begin:
                events.append(kernels[at])
            at += 1
        per_run.append(_outermost(events))
    return per_run


def _outermost(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the kernels that ran inside the body of another one."""
    bodies = [(e["ts"], e["ts"] + e["dur"], e) for e in events if e["args"].get("op_name") in _BODIES]
    if not bodies:
        return list(events)

    def inside(event: Mapping[str, Any]) -> bool:
        begin, end = event["ts"], event["ts"] + event["dur"]
        return any(b <= begin and end <= e and event is not body for b, e, body in bodies)

    return [event for event in events if not inside(event)]


def _seconds_by_node(per_run: Sequence[Sequence[Mapping[str, Any]]], engine: Sequence[EngineNode]) -> dict[str, float]:
    """Median seconds of each engine node over the runs, scaled so that they add up to the median run.

    Medians alone add up to less than the median of the sums: what disturbs a run disturbs few of its kernels.
    Events carry the node's name, or for an unnamed node its operator and an index of the engine's own; those
    are matched by their place among the unnamed nodes of that operator. Durations are cut to whole
    microseconds by the engine, so half a tick is added.
    """
    named = {node.key for node in engine}
    unnamed: dict[str, list[str]] = {}
    for position, node in enumerate(engine):
        if node.key == f"{position}:{node.type}":
            unnamed.setdefault(node.type, []).append(node.key)
    samples: dict[str, list[float]] = {}
    sums: list[float] = []
    for events in per_run:
        waiting = {type_: list(keys) for type_, keys in unnamed.items()}
        spent: dict[str, float] = {}
        for event in events:
            type_ = str(event["args"].get("op_name", ""))
            name = str(event["name"]).removesuffix(_KERNEL)
            key = f"{name}:{type_}"
            if key not in named and waiting.get(type_):
                key = waiting[type_].pop(0)
            spent[key] = spent.get(key, 0.0) + (event["dur"] + 0.5) * _TICK_SECONDS
        sums.append(sum(spent.values()))
        for key, seconds in spent.items():
            samples.setdefault(key, []).append(seconds)
    medians = {key: statistics.median(v + [0.0] * (len(per_run) - len(v))) for key, v in samples.items()}
    total = sum(medians.values())
    scale = statistics.median(sums) / total if total else 1.0
    return {key: seconds * scale for key, seconds in medians.items()}
