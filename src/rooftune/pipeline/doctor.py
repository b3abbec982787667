"""Looking over the installation."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

from rooftune.execute.backend import known_backends
from rooftune.execute.probe.stored import home, stored_machine
from rooftune.machine.topology import read_topology, usable_threads

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status`: ok, missing (optional) or broken (the main job cannot be done)."""

    what: str
    status: str
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Every engine, the compiler, the probe, the cache folder and the cores, in that order."""
    findings = []
    for name, backend in known_backends().items():
        refusal = backend.available()
        if refusal is None:
            findings.append(Finding(f"engine {name}", "ok", backend.version()))
        else:
            status = "broken" if name == "onnxruntime" else "missing"
            findings.append(Finding(f"engine {name}", status, "absent", refusal.reason))
    findings.append(_compiler())
    findings.append(_extra("torch", "reading PyTorch modules"))
    findings.append(_probe())
    findings.append(_cache())
    topology = read_topology()
    findings.append(Finding("usable cores", "ok", f"{usable_threads(topology)} ({topology.name})"))
    return findings


def _compiler() -> Finding:
    try:
        import llvmlite

        return Finding("LLVM (llvmlite)", "ok", str(llvmlite.__version__))
    except (ImportError, OSError) as why:
        return Finding("LLVM (llvmlite)", "broken", str(why), "pip install llvmlite")


def _extra(module: str, purpose: str) -> Finding:
    if importlib.util.find_spec(module) is not None:
        return Finding(module, "ok", f"for {purpose}")
    return Finding(module, "missing", "absent", f"for {purpose}: pip install rooftune[{module}]")


def _probe() -> Finding:
    machine = stored_machine(quick=True)
    if machine is None:
        return Finding("ceilings of this machine", "missing", "not measured", "rooftune machine probe")
    return Finding("ceilings of this machine", "ok", f"{machine.name}, measured {machine.date}")


def _cache() -> Finding:
    folder = home()
    probe = folder
    while not probe.exists():
        probe = probe.parent
    if probe.is_dir() and os.access(probe, os.W_OK):
        return Finding("cache folder", "ok", str(folder))
    return Finding("cache folder", "broken", f"{folder} cannot be written", "set ROOFTUNE_HOME to a folder of yours")
