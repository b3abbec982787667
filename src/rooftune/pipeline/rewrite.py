"""`rooftune rewrite`: a smaller and faster graph, and the proof that it is the same model."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.errors import ConstraintNotMet, InputError
from rooftune.execute.constants import evaluate_constants
from rooftune.graph.model import Model
from rooftune.graph.save import save_graph
from rooftune.machine.spec import Machine
from rooftune.pipeline.analyze import analyze_on, check_analysis_options
from rooftune.pipeline.facts import environment_facts, machine_facts, model_facts, now, version
from rooftune.pipeline.prepare import HOST, open_machine, open_model, require_threads, thread_count
from rooftune.pipeline.proof import Proof, prove
from rooftune.pipeline.samples import Given, open_with_samples
from rooftune.protocols import Progress, SilentProgress
from rooftune.quantities import Unknown, count_text, time_text
from rooftune.records import Record, plain
from rooftune.rewrite import engine
from rooftune.rewrite.engine import Rewritten
from rooftune.rewrite.order import all_steps, choose_steps
from rooftune.rewrite.price import Target

__all__ = ["RewriteOutcome", "rewrite_facts", "rewrite_graph", "rewrite_model"]


@dataclass(frozen=True)
class RewriteOutcome:
    """What `rewrite` leaves: the record, the file (None when none was asked for), and the model in memory."""

    record: Record
    path: Path | None
    rewritten: Rewritten
    proof: Proof | None


def rewrite_model(
    model: Model,
    machine: Machine | None,
    threads: int,
    *,
    backend: str = "onnxruntime",
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    progress: Progress | None = None,
) -> Rewritten:
    """Rewrite a loaded model with the chosen rules; what does not always pay is decided for this machine."""
    report = progress or SilentProgress()
    target = None if machine is None else Target(machine, threads, backend)
    steps = choose_steps(tuple(only), tuple(skip))
    return engine.rewrite(model, steps, target=target, evaluate=evaluate_constants, update=report.update)


def rewrite_graph(
    source: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    check: bool = False,
    verified: bool = True,
    machine: str | Machine = HOST,
    threads: int | None = None,
    backend: str = "onnxruntime",
    inputs: Given = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> RewriteOutcome:
    """Make the graph of a model smaller and faster without changing what it computes, and prove it.

    source    path of an ONNX file; from PyTorch an exported program, or the pair (module, example inputs)
    out       ONNX file to write, only when the proof holds; None writes nothing
    only      names of the rules to use; `skip` of those to leave out (`rooftune rules` lists them)
    check     compare every value that lives on, not the outputs alone
    verified  False writes without running anything
    machine   for which rules that do not always pay are decided: `host`, a catalog name, or a TOML file
    inputs    an .npz file or arrays by name to prove it with; default three random sets drawn from `seed`

    Raises InputError for models and data that cannot be used, ConstraintNotMet (after which nothing is written)
    where original and result differ or nothing can be proven.
    """
    report = progress or SilentProgress()
    choose_steps(tuple(only), tuple(skip))
    check_analysis_options(threads, backend, None)
    if verified:
        model, samples = open_with_samples(source, inputs, shapes=shapes, batch=batch, seed=seed)
    else:
        model, samples = open_model(source, shapes=shapes, batch=batch), []
    if out is not None and model.missing_data:
        names = ", ".join(model.missing_data[:3])
        raise InputError(f"weights are missing ({names})", "put the external data files beside the model")
    host = open_machine(machine, report)
    require_threads(host, threads)
    count = threads or (thread_count(None) if machine == HOST else host.threads or 1)
    with report.stage("rewriting"):
        started = time.perf_counter()
        rewritten = rewrite_model(model, host, count, backend=backend, only=only, skip=skip, progress=report)
        seconds = time.perf_counter() - started
    before = analyze_on(model, host, count, backend)
    after = analyze_on(rewritten.model, host, count, backend)
    target = Path(out) if out is not None else None
    proof = None
    with tempfile.TemporaryDirectory(prefix="rooftune-") as scratch:
        path = target or Path(scratch) / "model.onnx"
        made = path.with_name(f".{path.name}.unproven.onnx") if verified and target else path
        try:
            if verified or target:
                with report.stage(f"writing {path.name}" if target else "building the result"):
                    save_graph(rewritten.model.ir, made)
            if verified:
                with report.stage("running the original and the result"):
                    proof = prove(model, rewritten, made, samples, intermediates=check)
            if proof is not None and not proof.verification.passed:
                raise _unproven(proof)
            if made != path:
                save_graph(rewritten.model.ir, path) if _has_data(made) else made.replace(path)
        finally:
            if made != path:
                made.unlink(missing_ok=True)
                _data_of(made).unlink(missing_ok=True)
    record = _record(model, rewritten, proof, before, after, host)
    settings = {"only": list(only), "skip": list(skip), "threads": count, "seed": seed, "seconds": seconds}
    given = str(source) if isinstance(source, str | os.PathLike) else type(source).__name__
    record = replace(record, settings=settings, command=list(command or ["rooftune.rewrite_graph", given]))
    return RewriteOutcome(record, target, rewritten, proof)


def _data_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.data")


def _has_data(path: Path) -> bool:
    return _data_of(path).exists()


def _unproven(proof: Proof) -> ConstraintNotMet:
    where = f"; the first operator that differs is {proof.first_wrong}" if proof.first_wrong else ""
    return ConstraintNotMet(
        f"the rewritten model is not proven equal, nothing was written: {proof.verification.reason}{where}",
        "give real data with --input, leave out the rule with --skip, or write without proof with --unverified",
    )


def _record(
    model: Model, rewritten: Rewritten, proof: Proof | None, before: Analysis, after: Analysis, host: Machine
) -> Record:
    check = proof.verification if proof is not None else None
    return Record(
        kind="rewrite",
        rooftune=version,
        created=now(),
        command=[],
        verdict=_verdict(model, rewritten, proof, before, after),
        model=model_facts(model),
        machine=machine_facts(host),
        environment=environment_facts(),
        settings={},
        analysis=plain(after),
        verification=check,
        rewrite=rewrite_facts(len(model.ir.graph), rewritten, before, after, proof),
        method=[
            "Rules were applied until none applied any more; a rule that does not always pay only where the time "
            "predicted for the machine falls.",
            "The original and the result ran as they are written, without optimisation, on the same inputs.",
        ],
    )


def rewrite_facts(
    nodes_before: int, rewritten: Rewritten, before: Analysis, after: Analysis, proof: Proof | None
) -> dict[str, Any]:
    """The `rewrite` section of a record: counts and totals on both sides, what was applied, what was refused."""
    exactness = {name: step.exactness for name, step in all_steps().items()}
    journal = rewritten.journal
    return {
        "nodes_before": nodes_before,
        "nodes_after": len(rewritten.model.ir.graph),
        "totals_before": plain(before.totals),
        "totals_after": plain(after.totals),
        "exactness": rewritten.exactness.value,
        "applied": plain(journal.by_rule(exactness)),
        "refused": plain(journal.refused),
        "changes": plain(journal.applied),
        "notes": list(journal.notes),
        "compared_values": proof.compared if proof is not None else 0,
    }


def _verdict(model: Model, rewritten: Rewritten, proof: Proof | None, before: Analysis, after: Analysis) -> str:
    name = model.path.stem if model.path else "The model"
    old, new = len(model.ir.graph), len(rewritten.model.ir.graph)
    text = f"{name}: {old} → {new} nodes" if old != new else f"{name}: {old} nodes, as before"
    flops = (before.totals.flops, after.totals.flops)
    if flops[0] != flops[1]:
        text += f", {count_text(flops[0], 'FLOP')} → {count_text(flops[1], 'FLOP')}"
    seconds = (before.totals.predicted_seconds, after.totals.predicted_seconds)
    if not isinstance(seconds[0], Unknown) and not isinstance(seconds[1], Unknown):
        times = dict.fromkeys(map(time_text, (seconds[0], seconds[1])))
        text += f"; predicted {' → '.join(times)}{', as before' if len(times) == 1 else ''}"
    if proof is None:
        return text + "; NOT verified."
    values = "1 value" if proof.compared == 1 else f"{proof.compared:,} values"
    error = proof.verification.max_relative_error
    return text + f"; verified on {values}, {f'error {error:.1e}' if error else 'no difference'}."
