"""`rooftune profile`: measured time per operator against its roof, and the ledger of the gap."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.analysis.explain import Explanation, explain
from rooftune.analysis.fusion import known_backends as grouped_backends
from rooftune.analysis.tensors import shared_storage
from rooftune.errors import InputError
from rooftune.execute.backend import Candidate, find_backend
from rooftune.execute.competitor import Entry
from rooftune.execute.profile import Profile
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.model import Model
from rooftune.graph.save import copy_model
from rooftune.machine.spec import Machine
from rooftune.pipeline.analyze import analysis_record, analyze_on
from rooftune.pipeline.counterfactuals import counterfactuals
from rooftune.pipeline.job import read_exactness
from rooftune.pipeline.prepare import HOST, open_machine, thread_count
from rooftune.pipeline.samples import Given, open_with_samples
from rooftune.protocols import Arrays, Progress, SilentProgress
from rooftune.quantities import time_text
from rooftune.records import Record, plain

__all__ = ["group_rules_of", "profile", "profile_facts"]


def group_rules_of(backend: str) -> str:
    """Name of the fusion rules that describe a backend; `none` where nobody wrote any down."""
    return backend if backend in grouped_backends() else "none"


def profile(
    source: Any,
    *,
    backend: str = "onnxruntime",
    threads: int | None = None,
    inputs: Given = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    runs: int = 30,
    seed: int = 0,
    exactness: str = "approximates",
    checks: int = 3,
    machine: Machine | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Record:
    """Measure where the time of a model goes with one engine's default settings, and explain the gap to the roof.

    exactness  `reassociates` for the formulas as they are written, `approximates` for such as Winograd's too
    runs    profiled runs, of which the median counts per kernel
    checks  how many of the costliest operators are run again under changed conditions (weights hot in cache, one
            thread, channels rounded up to full vectors) to test the cause; 0 for none

    Raises InputError when the model cannot be read or the engine cannot run it.
    """
    report = progress or SilentProgress()
    engine = find_backend(backend)
    allowed = read_exactness(exactness)
    count = thread_count(threads)
    model, samples = open_with_samples(source, inputs, shapes=shapes, batch=batch, seed=seed)
    refused = engine.refuses(model)
    if refused is not None:
        raise InputError(f"{backend} does not run this model itself: {refused.reason}", "try another --backend")
    host = machine or open_machine(HOST, report)
    analysis = analyze_on(model, host, count, group_rules_of(backend))
    candidate = next(c for c in engine.space(count, "latency") if c.exactness.within(allowed))
    with tempfile.TemporaryDirectory(prefix="rooftune-profile-") as scratch:
        path = copy_model(model, Path(scratch))
        shape_of = {name: tuple(int(d) for d in a.shape) for name, a in samples[0].items()}
        entry = Entry(candidate, path, shape_of)
        with report.stage(f"profiling {candidate.name}"):
            try:
                measured = _measure(entry, samples[0], runs)
            except EngineFailure as failure:
                raise InputError(f"{backend} cannot run the model: {failure.reason}", "try another --backend") from None
        gap = explain(analysis, shared_storage(model), measured.kernels, measured.model_seconds, host)
        tested = counterfactuals(model, gap, candidate, report, count=checks) if checks else []
    facts = _facts(entry.candidate, measured, gap, tested)
    settings = {
        "backend": backend,
        "threads": count,
        "runs": runs,
        "seed": seed,
        "exactness": exactness,
        "inputs": f"random, seed {seed}" if inputs is None else "given",
        "shapes": {k: list(v) for k, v in shape_of.items()},
    }
    base = analysis_record(model, host, analysis, list(command or ["rooftune.profile", str(source)]), settings)
    return replace(
        base,
        kind="profile",
        verdict=_verdict(model, candidate, gap),
        profiles={"before": facts, "after": None},
        method=[
            *base.method,
            f"Kernel times are medians of {runs} profiled runs by the engine's own profiler, scaled to the time of "
            "the model without profiling; time outside the kernels is dispatch.",
            "The ledger takes its parts in a fixed order, each at most what is left: roof, unfused, dispatch, padding, "
            "then low utilisation for compute-bound kernels and traffic for memory-bound ones.",
        ],
    )


def _measure(entry: Entry, inputs: Arrays, runs: int) -> Profile:
    with Worker(entry.candidate, entry.model_path, input_shapes=entry.input_shapes) as worker:
        worker.feed(inputs)
        return worker.profile(runs)


def profile_facts(
    model: Model,
    entry: Entry,
    inputs: Arrays,
    analysis: Analysis,
    machine: Machine,
    *,
    runs: int = 20,
    model_seconds: float | None = None,
) -> dict[str, Any] | None:
    """Profile one candidate and explain its time; None (never a guess) when its engine cannot profile.

    `model_seconds` is what a race found for the whole model: it is the truth, and kernel times are scaled to it.
    """
    try:
        measured = _measure(entry, inputs, runs)
    except EngineFailure:
        return None
    if model_seconds is not None and measured.model_seconds > 0:
        measured = measured.scaled_to(model_seconds)
    gap = explain(analysis, shared_storage(model), measured.kernels, measured.model_seconds, machine)
    return _facts(entry.candidate, measured, gap, [])


def _facts(candidate: Candidate, measured: Profile, gap: Explanation, tested: Sequence[Any]) -> dict[str, Any]:
    explained: dict[str, Any] = plain(gap)
    return {**measured.to_json(), **explained, "name": candidate.name, "counterfactuals": plain(list(tested))}


def _verdict(model: Model, candidate: Candidate, gap: Explanation) -> str:
    name = model.path.stem if model.path else "The model"
    lost = {c: s for c, s in gap.ledger.items() if c != "roof"}
    worst = max(lost, key=lambda c: lost[c])
    return (
        f"{name} takes {time_text(gap.model_seconds)} with {candidate.name}, of which {100 * gap.ledger['roof']:.0f} % "
        f"is the roof; the largest loss is {worst} with {100 * lost[worst]:.0f} %."
    )
