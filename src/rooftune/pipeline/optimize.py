"""`rooftune optimize`: the fastest verified way to run a model among the engines present."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.deploy.deployment import Deployment, write_deployment
from rooftune.deploy.run_folder import check_target, replaced_atomically
from rooftune.errors import InputError, MissingDependency
from rooftune.execute.backend import OBJECTIVES, Backend, Candidate, ModelFacts, find_backend, present_backends
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.competitor import Entry
from rooftune.execute.race import race
from rooftune.execute.rank import Ranking, rank
from rooftune.execute.statistics import Interval
from rooftune.execute.worker import EngineFailure, Worker
from rooftune.graph.model import Model
from rooftune.graph.save import copy_model
from rooftune.machine.spec import Machine
from rooftune.pipeline.analyze import analyze_on
from rooftune.pipeline.facts import environment_facts, machine_facts, model_facts, now, version
from rooftune.pipeline.prepare import HOST, open_machine, open_model, require_complete, thread_count
from rooftune.pipeline.profile import group_rules_of, profile_facts
from rooftune.pipeline.samples import Samples, make_samples
from rooftune.pipeline.verdicts import optimize_verdict
from rooftune.pipeline.written_down import candidate_rows, engine_steps, method_sentences
from rooftune.protocols import Arrays, Progress, SilentProgress
from rooftune.records import Placed, Record, Refused, Speedup, plain
from rooftune.report.html import write_html
from rooftune.verdicts import Exactness
from rooftune.verify import Verification, verify

__all__ = ["Outcome", "optimize"]

_RACE_SHARE = 0.3  # of the budget, for the race after the choice
_PROFILE_RUNS = 20


@dataclass(frozen=True)
class Outcome:
    """What `optimize` leaves: the record and the run folder it was written to."""

    record: Record
    folder: Path

    @property
    def speedup(self) -> float:
        """baseline / best of the race after the choice; 1 when nothing was gained."""
        return self.record.speedup.median if self.record.speedup else 1.0


@dataclass(frozen=True)
class _Job:
    """What everybody below needs to know."""

    model: Model
    path: Path
    samples: Samples
    shapes: Mapping[str, tuple[int, ...]]
    threads: int
    objective: str
    progress: Progress
    budget: float


def optimize(
    source: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    backends: Sequence[str] | None = None,
    threads: int | None = None,
    objective: str = "latency",
    inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    budget: float = 60.0,
    seed: int = 0,
    machine: Machine | None = None,
    force: bool = False,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Outcome:
    """Find, verify and write down the fastest way to run a model here.

    source     path of an ONNX file, or a PyTorch exported program
    out        run folder to write; default `MODEL-rooftune/`. A run folder is replaced, anything else refused
               without `force`
    backends   engines to choose among; default all that are installed
    threads    exactly as many are used, by every engine and later by `rooftune.load`; default all usable
    objective  `latency` (one request at a time) or `throughput` (several in flight)
    inputs     an .npz file or arrays by name to verify and time with; default random ones drawn from `seed`
    budget     seconds to spend on measuring (loading the engines comes on top)

    Candidates are raced in turns in processes of their own, verified against the original model run without
    optimisation, and the winner raced once more against the fastest default. Whatever is not faster beyond
    doubt is not kept. Raises InputError for models and data that cannot be used, before anything is written.
    """
    report = progress or SilentProgress()
    if objective not in OBJECTIVES:
        raise InputError(f"objective {objective!r} is not known", f"choose {' or '.join(OBJECTIVES)}")
    if budget <= 0:
        raise InputError(f"a budget of {budget} s allows no measurement", "give more, such as --budget 60s")
    count = thread_count(threads)
    chosen, absent = _backends(backends)
    shapes = dict(shapes or {})
    if isinstance(inputs, Mapping):
        shapes |= {name: list(getattr(array, "shape", ())) for name, array in inputs.items()}
    model = open_model(source, shapes=shapes, batch=batch)
    require_complete(model)
    target = Path(out) if out is not None else Path(f"{model.path.stem if model.path else 'model'}-rooftune")
    check_target(target, force=force)
    samples = make_samples(model, inputs, seed)
    host = machine or open_machine(HOST, report)
    started = time.monotonic()
    with replaced_atomically(target) as folder:
        path = copy_model(model, folder)
        bound = {name: tuple(int(d) for d in array.shape) for name, array in samples[0].items()}
        job = _Job(model, path, samples, bound, count, objective, report, budget)
        record = _run(job, chosen, absent, host, folder)
        record = replace(
            record,
            command=list(command or ["rooftune.optimize", str(source)]),
            settings={
                "threads": count,
                "objective": objective,
                "backends": [b.name for b in chosen],
                "budget_seconds": budget,
                "seconds_spent": time.monotonic() - started,
                "seed": seed,
                "inputs": f"random, seed {seed}"
                if inputs is None
                else ("arrays" if isinstance(inputs, Mapping) else str(inputs)),
                "shapes": {k: list(v) for k, v in bound.items()},
            },
        )
        record.write(folder / "record.json")
        write_html(record.to_json(), folder / "report.html")
    return Outcome(record, target)


def _backends(names: Sequence[str] | None) -> tuple[list[Backend], list[Refused]]:
    if names is not None:
        if not names:
            raise InputError("--backends names none", "name at least one, such as --backends onnxruntime")
        return [find_backend(n) for n in dict.fromkeys(names)], []
    present, absent = present_backends()
    if not present:
        raise MissingDependency("no engine is installed", "pip install onnxruntime")
    return list(present.values()), [Refused(f"backend {name}", why.reason) for name, why in absent.items()]


def _run(job: _Job, chosen: Sequence[Backend], absent: list[Refused], host: Machine, folder: Path) -> Record:
    with job.progress.stage("running the reference"):
        reference = _reference(job)
    facts = ModelFacts(branches=_has_branches(job.model))
    candidates: list[Candidate] = []
    defaults: list[int] = []
    for backend in chosen:
        for position, candidate in enumerate(backend.space(job.threads, job.objective, facts)):
            if position == 0:
                defaults.append(len(candidates))
            candidates.append(candidate)
    # the defaults first: whatever the budget, a baseline must be there
    order = [*defaults, *(i for i in range(len(candidates)) if i not in defaults)]
    entries = [Entry(candidates[i], job.path, job.shapes) for i in order]
    keep = range(len(defaults))
    with job.progress.stage(f"measuring {len(entries)} candidates"):
        ranking = rank(
            entries, job.samples[0], budget_seconds=job.budget * (1 - _RACE_SHARE), keep=keep, progress=job.progress
        )
    _require_any(ranking, job.model)
    return _choose(job, entries, ranking, len(defaults), reference, host, absent, folder)


def _reference(job: _Job) -> list[Arrays]:
    """Outputs of the original model with every optimisation off, on every sample."""
    try:
        with Worker(reference_candidate(), job.path, input_shapes=job.shapes) as worker:
            return [worker.run(sample) for sample in job.samples]
    except EngineFailure as failure:
        raise InputError(
            f"ONNX Runtime cannot run the model, so nothing can be verified: {failure.reason}{_custom_operators(job.model)}",
            "replace the operator it names, or check the model with `rooftune analyze`",
        ) from None


def _custom_operators(model: Model) -> str:
    """Operators of domains no engine here brings along, named for the error message."""
    known = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
    foreign = [
        n
        for n in model.ir.graph.all_nodes()
        if n.domain not in known and (n.domain, n.op_type, n.overload) not in model.ir.functions
    ]
    if not foreign:
        return ""
    names = ", ".join(dict.fromkeys(f"{n.domain}::{n.op_type}" for n in foreign))
    return f"; no backend runs {names} (node {foreign[0].name})"


def _has_branches(model: Model) -> bool:
    return any(len({id(n) for n, _ in v.uses()}) > 1 for node in model.ir.graph for v in node.outputs)


def _require_any(ranking: Ranking, model: Model) -> None:
    if ranking.best is None:
        reasons = "; ".join(dict.fromkeys(s.reason for s in ranking.standings if s.reason))
        raise InputError(
            f"no backend runs the model: {reasons}{_custom_operators(model)}", "replace the operators they name"
        )


def _choose(
    job: _Job,
    entries: Sequence[Entry],
    ranking: Ranking,
    default_count: int,
    reference: Sequence[Arrays],
    host: Machine,
    absent: list[Refused],
    folder: Path,
) -> Record:
    final = ranking.final
    assert final is not None
    checks: dict[int, Verification] = {}
    for index in ranking.finalists:
        with job.progress.stage(f"verifying {entries[index].name}"):
            checks[index] = _verified(job, entries[index], reference)
    right = [i for i in ranking.finalists if checks[i].passed and not ranking.standings[i].lap.failed]
    unproven = [i for i in ranking.finalists if not checks[i].passed]
    seconds = {i: _median(ranking, i) for i in ranking.finalists}
    defaults = [i for i in range(default_count) if i in seconds and seconds[i] is not None]
    baseline = min((i for i in defaults if i in right), key=lambda i: seconds[i] or 0.0, default=None)
    if baseline is None:
        # nothing could be proven: the fastest default still stands as it is, and the record says why it is unproven
        baseline = min(defaults, key=lambda i: seconds[i] or 0.0, default=ranking.best)
    assert baseline is not None
    best = min(right, key=lambda i: seconds[i] or float("inf"), default=baseline)
    with job.progress.stage(f"racing {entries[best].name} against the baseline"):
        after = race([entries[baseline], entries[best]] if best != baseline else [entries[baseline]],
                     job.samples[0], budget_seconds=job.budget * _RACE_SHARE, progress=job.progress)  # fmt: skip
    gained = best != baseline and not any(lap.failed for lap in after.laps)
    ratio = after.ratio(0, 1) if gained else None
    reason = ""
    if ratio is not None and ratio.low < 1.0:
        reason = (
            f"{entries[best].name} was not faster beyond doubt: {ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
        )
    kept = best if ratio is not None and not reason else baseline
    speedup = _speedup(ratio if kept != baseline else None, after.twin, after.settled)
    times = [lap.seconds.median if lap.seconds else (seconds[baseline] or 0.0) for lap in after.laps]
    placed_baseline = _placed(entries[baseline].candidate, times[0])
    placed_best = _placed(entries[kept].candidate, times[1] if kept != baseline else times[0])
    analyses = {b: analyze_on(job.model, host, job.threads, b) for b in _groups_for(entries, (baseline, kept, best))}
    profiles = _profiles(job, entries, baseline, kept, analyses, host)
    rows = candidate_rows(entries, ranking, checks)
    steps = engine_steps(entries, baseline, best, kept, ratio, reason, analyses)
    write_deployment(_deployment(entries[kept].candidate, job), folder)
    main = analyses[group_rules_of(entries[kept].candidate.backend)]
    return Record(
        kind="optimize",
        rooftune=version,
        created=now(),
        command=sys.argv,
        verdict=optimize_verdict(job.model, placed_baseline, placed_best, speedup, checks[kept], main, reason),
        model=model_facts(job.model),
        machine=machine_facts(host),
        environment=environment_facts(),
        settings={},
        analysis=plain(main),
        baseline=placed_baseline,
        best=placed_best,
        speedup=speedup,
        verification=checks[kept],
        steps=steps,
        candidates=rows,
        refused=[
            *absent,
            *(Refused(entries[i].name, checks[i].reason) for i in unproven),
            *([Refused(f"run with {entries[best].name}", reason)] if reason else []),
        ],
        profiles=profiles,
        method=method_sentences(job.threads, ranking, after.rounds, len(job.samples)),
    )


def _verified(job: _Job, entry: Entry, reference: Sequence[Arrays]) -> Verification:
    try:
        with Worker(entry.candidate, job.path, input_shapes=job.shapes) as worker:
            found = [worker.run(sample) for sample in job.samples]
    except EngineFailure as failure:
        return Verification(False, None, Exactness.REASSOCIATES.tolerance, "reassociates", (), failure.reason)
    return verify(reference, found, Exactness.REASSOCIATES, inputs_vary=bool(job.samples[0]))


def _median(ranking: Ranking, index: int) -> float | None:
    interval = ranking.standings[index].lap.seconds
    return interval.median if interval else None


def _speedup(ratio: Interval | None, twin: Interval | None, settled: bool) -> Speedup:
    twins = None if twin is None else {"median": twin.median, "low": twin.low, "high": twin.high}
    if ratio is None:
        return Speedup(1.0, 1.0, 1.0, 0, twins, settled)
    return Speedup(ratio.median, ratio.low, ratio.high, ratio.count, twins, settled)


def _placed(candidate: Candidate, seconds: float) -> Placed:
    return Placed(
        candidate.name, candidate.backend, dict(candidate.settings), candidate.threads, seconds, candidate.concurrency
    )


def _groups_for(entries: Sequence[Entry], indices: Sequence[int]) -> list[str]:
    return list(dict.fromkeys(group_rules_of(entries[i].candidate.backend) for i in indices))


def _profiles(
    job: _Job, entries: Sequence[Entry], baseline: int, kept: int, analyses: Mapping[str, Analysis], host: Machine
) -> dict[str, Any]:
    found: dict[int, Any] = {}
    for index in dict.fromkeys((baseline, kept)):
        with job.progress.stage(f"profiling {entries[index].name}"):
            analysis = analyses[group_rules_of(entries[index].candidate.backend)]
            found[index] = profile_facts(job.model, entries[index], job.samples[0], analysis, host, runs=_PROFILE_RUNS)
    return {"before": found[baseline], "after": found[kept]}


def _deployment(candidate: Candidate, job: _Job) -> Deployment:
    open_inputs = job.model.bindings
    return Deployment(
        backend=candidate.backend,
        settings=dict(candidate.settings),
        threads=candidate.threads,
        concurrency=candidate.concurrency,
        label=candidate.label,
        model=job.path.name,
        input_shapes=job.shapes if open_inputs else {},
    )
