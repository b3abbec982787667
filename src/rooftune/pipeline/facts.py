"""Facts every record carries: the model, the machine, the environment."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from rooftune import __version__
from rooftune.execute.backend import known_backends
from rooftune.graph.model import Model
from rooftune.machine.spec import Machine
from rooftune.machine.topology import read_topology, usable_threads

__all__ = ["environment_facts", "machine_facts", "model_facts", "now", "version"]

version = __version__


def now() -> str:
    """The present moment in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def model_facts(model: Model) -> dict[str, Any]:
    """Name, size, opset, inputs and outputs of a model."""
    return {
        "name": model.path.stem if model.path else (model.ir.graph.name or "model"),
        "path": str(model.path) if model.path else None,
        "bytes_on_disk": model.path.stat().st_size if model.path else None,
        "opset": model.opset,
        "producer": " ".join(filter(None, (model.ir.producer_name, model.ir.producer_version))),
        "nodes": len(model.ir.graph),
        "inputs": _tensors(model.inputs),
        "outputs": _tensors(model.outputs),
        "bindings": dict(model.bindings),
        "warnings": list(model.warnings),
    }


def _tensors(types: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, kind in types.items():
        dims = getattr(kind, "dims", None)
        dtype = getattr(kind, "dtype", None)
        found.append(
            {
                "name": name,
                "dtype": dtype.text if dtype is not None else str(kind),
                "shape": None if dims is None else [d if isinstance(d, int) else str(d) for d in dims],
            }
        )
    return found


def machine_facts(machine: Machine) -> dict[str, Any]:
    """The machine as the record holds it: ceilings with their standing."""
    return {
        "id": machine.id,
        "name": machine.name,
        "kind": machine.kind,
        "threads": machine.threads,
        "clock_hz": machine.clock_hz,
        "isa": list(machine.isa),
        "microarchitecture": machine.microarchitecture,
        "date": machine.date,
        "peaks": [
            {
                "format": p.format,
                "flops_per_second": p.flops_per_second,
                "threads": p.threads,
                "theoretical_flops_per_second": p.theoretical_flops_per_second,
                "engine": p.engine,
                "sparse": p.sparse,
                "instruction": p.instruction,
                "variation": p.variation,
                "standing": p.standing.kind,
                "source": p.standing.source,
            }
            for p in machine.peaks
        ],
        "levels": [
            {
                "name": lv.name,
                "size_bytes": lv.size_bytes,
                "shared": lv.shared,
                "bandwidths": [
                    {
                        "pattern": b.pattern,
                        "threads": b.threads,
                        "bytes_per_second": b.bytes_per_second,
                        "stores": b.stores,
                        "standing": b.standing.kind,
                        "source": b.standing.source,
                    }
                    for b in lv.bandwidths
                ],
            }
            for lv in machine.levels
        ],
        "notes": list(machine.notes),
    }


def environment_facts(packages: Sequence[str] = ("numpy", "onnx", "onnx-ir", "llvmlite")) -> dict[str, Any]:
    """Interpreter, platform, CPU, versions, affinity and quota at this moment."""
    topology = read_topology()
    versions = {name: _installed(name) for name in packages}
    versions |= {name: backend.version() for name, backend in known_backends().items() if backend.available() is None}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": getattr(topology, "name", "") or platform.processor(),
        "usable_threads": usable_threads(topology),
        "versions": {k: v for k, v in versions.items() if v},
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "quota": getattr(topology, "quota", None),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
