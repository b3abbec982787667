"""`rooftune analyze`: what a model costs and where it stands under a machine's roof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.analysis.analyze import analyze as analyze_model
from rooftune.analysis.fusion import fusion_rules
from rooftune.errors import InputError
from rooftune.graph.model import Model
from rooftune.machine.spec import FORMATS, Machine
from rooftune.pipeline.facts import environment_facts, machine_facts, model_facts, now, version
from rooftune.pipeline.prepare import HOST, open_machine, open_model, require_threads
from rooftune.protocols import Progress, SilentProgress
from rooftune.quantities import Unknown, count_text, time_text
from rooftune.records import Record, plain

__all__ = ["analysis_record", "analyze", "analyze_on", "check_analysis_options", "verdict_of"]


def analyze(
    source: Any,
    *,
    machine: str | Machine = HOST,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    backend: str = "onnxruntime",
    number_format: str | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Count the work of a model and place every fused group under the roof of a machine.

    source         path of an ONNX file; from PyTorch an exported program, or the pair (module, example inputs)
    machine        `host` (probed on first use and remembered), a catalog name, or a TOML file
    threads        threads the time bounds are for; None = all usable
    shapes, batch  sizes for open dimensions: {"input": (1, 3, 224, 224)}, or the first dimension of every input
    backend        whose fused groups to use: `onnxruntime`, `openvino`, `none`
    number_format  take arithmetic and floating-point tensors in `fp16`, `int8`, ... instead of the model's own

    Raises InputError with a remedy for a model that cannot be read; operators nobody can state the work of are
    listed in `unknown` and never counted as zero.
    """
    check_analysis_options(threads, backend, number_format)
    model = open_model(source, shapes=shapes, batch=batch)
    return analyze_on(model, open_machine(machine, progress or SilentProgress()), threads, backend, number_format)


def check_analysis_options(threads: int | None, backend: str, number_format: str | None) -> None:
    """InputError for options no model and no machine can be analysed with: asked before anything is measured."""
    fusion_rules(backend)
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads} is no number of threads", "give 1 or more")
    if number_format is not None and number_format not in FORMATS:
        raise InputError(f"no number format is called {number_format!r}", f"choose among {', '.join(FORMATS)}")


def analyze_on(
    model: Model, machine: Machine, threads: int | None, backend: str, number_format: str | None = None
) -> Analysis:
    """The same for a model and a machine at hand."""
    check_analysis_options(threads, backend, number_format)
    require_threads(machine, threads)
    return analyze_model(model, machine, threads=threads, backend=backend, number_format=number_format)


def analysis_record(
    model: Model, machine: Machine, analysis: Analysis, command: Sequence[str], settings: Mapping[str, Any]
) -> Record:
    """The record of an analysis."""
    return Record(
        kind="analyze",
        rooftune=version,
        created=now(),
        command=list(command),
        verdict=verdict_of(model, machine, analysis),
        model=model_facts(model),
        machine=machine_facts(machine),
        environment=environment_facts(),
        settings=dict(settings),
        analysis=plain(analysis),
        method=[
            "FLOPs are 2 per multiply-accumulate; the roof leaves out taps on padding.",
            f"Groups are those {analysis.backend_groups} runs as one kernel; tensors inside a group cost no traffic.",
            "Each tensor comes from the nearest memory level that holds everything touched since its last use.",
        ],
    )


def verdict_of(model: Model, machine: Machine, analysis: Analysis) -> str:
    """One sentence on what the model costs and what bounds it."""
    totals = analysis.totals
    name = model.path.stem if model.path else "The model"
    costs = f"{name}: {count_text(totals.macs, 'MAC')}, {count_text(totals.params)} parameters"
    if isinstance(totals.roof_seconds, Unknown):
        return f"{costs}; no time bound: {totals.roof_seconds.reason}."
    text = f"{costs}; at least {time_text(totals.roof_seconds)} on {machine.name}"
    if not isinstance(totals.predicted_seconds, Unknown):
        text += f", {time_text(totals.predicted_seconds)} predicted, mostly {totals.bound}-bound"
    if totals.coverage < 1:
        text += f" (the work of {100 * (1 - totals.coverage):.1f} % of the nodes is not known)"
    return text + "."
