"""What can be said of a rewritten file: its nodes, its cost by our analysis, and whether it is still the same model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from rewrite_contenders import CATALOG_MACHINE, CATALOG_THREADS, target

from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.inputs import random_inputs
from rooftune.execute.placement import usable_cpus
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.load import load
from rooftune.machine.devices import find_machine
from rooftune.pipeline.analyze import analyze_on

__all__ = ["answers", "correctness", "error_between", "facts"]


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs and functions included."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node


def leftovers(model: onnx.ModelProto) -> int:
    """Unsqueeze nodes, and Mul and Add nodes with one constant side: what surrounds converted normalisations."""
    constant = {tensor.name for tensor in model.graph.initializer}
    found = 0
    for node in model.graph.node:
        named = [name for name in node.input if name]
        sides = [name in constant for name in named]
        found += node.op_type == "Unsqueeze" or (node.op_type in ("Mul", "Add") and any(sides) and not all(sides))
        if node.op_type == "Constant" or (sides and all(sides)):
            constant.update(node.output)
    return found


def accepted(path: Path) -> str:
    """Empty where ONNX's checker takes the file, shapes and types included; else what it says."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as why:  # the checker's and shape inference's errors have no common ancestor
        return " ".join(str(why).split())[:200]
    return ""


def predictions(path: Path) -> dict[str, Any]:
    """Activations at their peak in bytes and predicted seconds per machine; None where our analysis does not know."""
    model = load(path)
    host, threads = target()
    found: dict[str, Any] = {"predicted_seconds": {}}
    for machine, count in {
        host.id: (host, threads),
        CATALOG_MACHINE: (find_machine(CATALOG_MACHINE), CATALOG_THREADS),
    }.values():
        analysis = analyze_on(model, machine, count, "onnxruntime")
        totals = analysis.totals
        # a sum over some of the kernels would flatter the file with the most that nobody knows
        known = totals.coverage == 1 and all(isinstance(g.predicted_seconds, float) for g in analysis.groups)
        found["predicted_seconds"][machine.id] = totals.predicted_seconds if known else None
        held, weights = totals.footprint_bytes, totals.weight_bytes
        both = isinstance(held, int) and isinstance(weights, int)
        found["activation_bytes"] = held - weights if both else None  # type: ignore[operator]
    return found


def facts(path: Path) -> dict[str, Any]:
    """Everything about a file that can be said without running it."""
    model = onnx.load(path, load_external_data=False)
    nodes = list(all_nodes(model))
    operators = Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in nodes)
    found: dict[str, Any] = {
        "nodes_all": len(nodes),
        "nodes": len(nodes) - operators["Constant"],
        "operators": dict(operators.most_common()),
        "leftovers": leftovers(model),
        "standard": all(node.domain in ("", "ai.onnx") for node in nodes) and not model.functions,
        "file_bytes": sum(f.stat().st_size for f in path.parent.iterdir() if f.name.startswith(path.name)),
        "checker": accepted(path),
    }
    try:
        found |= predictions(path)
    except Exception as why:  # a peer may write what we cannot read
        found |= {"predicted_seconds": {}, "activation_bytes": None, "unread": f"{type(why).__name__}: {why}"[:200]}
    return found


def answers(path: Path, inputs: Sequence[Mapping[str, Any]] = ()) -> tuple[list[Any], list[dict[str, Any]]]:
    """The inputs (two random sets, unless given) and the outputs without any optimisation."""
    with Worker(reference_candidate(len(usable_cpus())), path) as worker:
        given = list(inputs) or [random_inputs(worker.loaded.inputs, seed=seed) for seed in (1, 2)]
        return given, [worker.run(arrays) for arrays in given]


def error_between(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> float:
    """Largest error over outputs and inputs; infinite where an output is missing, of another shape or not finite."""
    worst = 0.0
    for wanted, given in zip(expected, found, strict=True):
        for name, a in wanted.items():
            b = given.get(name)
            if b is None or a.shape != b.shape or not np.isfinite(b).all():
                return float("inf")
            difference = np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0)
            worst = max(worst, float(difference / max(np.abs(a).max(initial=0), 1e-30)))
    return worst


def correctness(path: Path, inputs: Sequence[Any], expected: Sequence[Any]) -> dict[str, Any]:
    """`error`, or why the result does not run."""
    try:
        return {"error": error_between(expected, answers(path, inputs)[1])}
    except EngineFailure as failure:
        return {"error": None, "does_not_run": failure.reason[:200]}
