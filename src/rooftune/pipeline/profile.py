"""`rooftune profile`: measured time per operator against its roof, and the ledger of the gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.analysis.explain import explain
from rooftune.analysis.tensors import shared_storage
from rooftune.execute.competitor import Entry
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.model import Model
from rooftune.machine.spec import Machine
from rooftune.protocols import Arrays
from rooftune.records import plain

__all__ = ["profile_facts"]


def profile_facts(
    model: Model, entry: Entry, inputs: Arrays, analysis: Analysis, machine: Machine, *, runs: int = 20
) -> dict[str, Any] | None:
    """Profile one candidate and explain its time; None (never a guess) when its engine cannot profile."""
    try:
        with Worker(entry.candidate, entry.model_path, input_shapes=entry.input_shapes) as worker:
            worker.feed(inputs)
            measured = worker.profile(runs)
    except EngineFailure:
        return None
    gap = explain(analysis, shared_storage(model), measured.kernels, measured.model_seconds, machine)
    facts: dict[str, Any] = plain(gap)
    return {**measured.to_json(), **facts, "name": entry.name, "counterfactuals": []}


_ = (Mapping, Sequence, Path)
