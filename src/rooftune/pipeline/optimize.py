"""`rooftune optimize`: the fastest verified way to run a model among the engines present."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.deploy.deployment import Deployment, write_deployment
from rooftune.deploy.run_folder import check_target, replaced_atomically
from rooftune.execute.competitor import Entry
from rooftune.graph.model import Model
from rooftune.graph.save import copy_model
from rooftune.machine.spec import Machine
from rooftune.pipeline.analyze import analyze_on
from rooftune.pipeline.contest import Choice, choose
from rooftune.pipeline.facts import environment_facts, machine_facts, model_facts, now, version
from rooftune.pipeline.job import Job, open_job
from rooftune.pipeline.prepare import HOST, open_machine, require_threads
from rooftune.pipeline.profile import group_rules_of, profile_facts
from rooftune.pipeline.samples import Given
from rooftune.pipeline.variants import Variant, keep_variant, rewrite_section, rewritten_variant
from rooftune.pipeline.written_down import (
    candidate_rows,
    engine_steps,
    method_sentences,
    optimize_verdict,
    placed,
    refusals,
    rewrite_steps,
    speedup_of,
)
from rooftune.protocols import Progress, SilentProgress
from rooftune.records import Record, Refused, plain
from rooftune.report.html import write_html

__all__ = ["Outcome", "optimize"]

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


def optimize(
    source: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    backends: Sequence[str] | None = None,
    threads: int | None = None,
    objective: str = "latency",
    inputs: Given = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    budget: float = 60.0,
    seed: int = 0,
    exactness: str = "approximates",
    rewrite: bool = True,
    skip: Sequence[str] = (),
    machine: Machine | None = None,
    force: bool = False,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Outcome:
    """Find, verify and write down the fastest way to run a model here.

    source     path of an ONNX file; from PyTorch an exported program, or the pair (module, example inputs)
    out        run folder to write; default `MODEL-rooftune/`. A run folder is replaced, anything else refused
               without `force`
    backends   engines to choose among; default all that are installed
    threads    exactly as many are used, by every engine and later by `rooftune.load`; default all usable
    objective  `latency` (one request at a time) or `throughput` (several in flight)
    inputs     an .npz file or arrays by name to verify and time with; default random ones drawn from `seed`
    budget     seconds to spend on measuring (loading the engines comes on top)
    exactness  `reassociates` for the formulas as they are written, in another order at most; `approximates` also allows
               such that round otherwise, as Winograd's convolution does. Outputs are verified with 1e-5 in both
    rewrite    also try the losslessly rewritten graph; `skip` names rules to leave out

    Candidates are raced in turns in processes of their own, verified against the original model run without
    optimisation, and the winner raced once more against the fastest default. Whatever is not faster beyond
    doubt is not kept. Raises InputError for models and data that cannot be used, before anything is written.
    """
    report = progress or SilentProgress()
    job = open_job(
        source,
        backends=backends,
        threads=threads,
        objective=objective,
        inputs=inputs,
        shapes=shapes,
        batch=batch,
        budget=budget,
        seed=seed,
        exactness=exactness,
    )
    target = Path(out) if out is not None else Path(f"{job.name}-rooftune")
    check_target(target, force=force, keep=_files_in_use(job, inputs))
    host = machine or open_machine(HOST, report)
    require_threads(host, job.threads)
    started = time.monotonic()
    with replaced_atomically(target) as folder:
        path = copy_model(job.model, folder)
        variants = [Variant("", job.model, path)]
        refused: list[Refused] = []
        if rewrite:
            made = rewritten_variant(job, host, folder, report, skip=skip)
            if isinstance(made, Variant):
                variants.append(made)
            else:
                refused.append(made)
        choice = choose(job, variants, report)
        record = _record(job, choice, variants, refused, host, report)
        keep_variant(variants, choice.entries[choice.kept].variant)
        write_deployment(_deployment(choice, job, path.name), folder)
        record = replace(
            record,
            command=list(command or ["rooftune.optimize", str(source)]),
            settings={**job.settings, "seconds_spent": time.monotonic() - started},
        )
        record.write(folder / "record.json")
        write_html(record.to_json(), folder / "report.html")
    return Outcome(record, target)


def _files_in_use(job: Job, inputs: object) -> list[Path]:
    found = [Path(inputs)] if isinstance(inputs, str | os.PathLike) else []
    if job.model.path is not None:
        found += [job.model.path, *(job.model.path.parent / name for name in job.model.data_files)]
    return found


def _deployment(choice: Choice, job: Job, model: str) -> Deployment:
    candidate = choice.entries[choice.kept].candidate
    return Deployment(
        backend=candidate.backend,
        settings=dict(candidate.settings),
        threads=candidate.threads,
        concurrency=candidate.concurrency,
        label=candidate.label,
        model=model,
        input_shapes=job.shapes if job.model.bindings else {},
        verified=choice.checks[choice.kept].passed,
    )


def _record(
    job: Job,
    choice: Choice,
    variants: Sequence[Variant],
    refused: Sequence[Refused],
    host: Machine,
    progress: Progress,
) -> Record:
    models = {v.name: v.model for v in variants}
    used = [choice.entries[i] for i in (choice.baseline, choice.kept, choice.best)]
    wanted = dict.fromkeys((variant, group_rules_of(e.candidate.backend)) for e in used for variant in models)
    analyses = {key: analyze_on(models[key[0]], host, job.threads, key[1]) for key in wanted}
    main = analyses[_key(choice.entries[choice.kept])]
    profiles = _profiles(job, models, choice, analyses, host, progress)
    rewritten = next((v for v in variants if v.rewritten is not None), None)
    return Record(
        kind="optimize",
        rooftune=version,
        created=now(),
        command=[],
        verdict=optimize_verdict(job, choice, profiles["after"]),
        model=model_facts(job.model),
        machine=machine_facts(host),
        environment=environment_facts(),
        settings={},
        analysis=plain(main),
        baseline=placed(choice.entries[choice.baseline], choice.baseline_seconds),
        best=placed(choice.entries[choice.kept], choice.kept_seconds),
        speedup=speedup_of(choice),
        verification=choice.checks[choice.kept],
        steps=[*rewrite_steps(choice, variants, analyses), *engine_steps(choice, analyses)],
        candidates=candidate_rows(choice),
        refused=[*refused, *refusals(job, choice)],
        profiles=profiles,
        rewrite=None if rewritten is None else rewrite_section(job, rewritten, analyses, main.backend_groups),
        method=method_sentences(job, choice),
    )


def _key(entry: Entry) -> tuple[str, str]:
    """Which analysis speaks of an entry: that of its variant in the groups of its backend."""
    return entry.variant, group_rules_of(entry.candidate.backend)


def _profiles(
    job: Job,
    models: Mapping[str, Model],
    choice: Choice,
    analyses: Mapping[tuple[str, str], Analysis],
    host: Machine,
    progress: Progress,
) -> dict[str, Any]:
    found: dict[int, Any] = {}
    raced = {choice.kept: choice.kept_seconds, choice.baseline: choice.baseline_seconds}
    for index in dict.fromkeys((choice.baseline, choice.kept)):
        entry = choice.entries[index]
        # with several requests in flight the time per item is not the time of a run, which is what a profile shows
        alone = entry.candidate.concurrency == 1
        with progress.stage(f"profiling {entry.name}"):
            analysis = analyses[_key(entry)]
            found[index] = profile_facts(
                models[entry.variant],
                entry,
                job.samples[0],
                analysis,
                host,
                runs=_PROFILE_RUNS,
                model_seconds=raced[index] if alone else None,
            )
    return {"before": found[choice.baseline], "after": found[choice.kept]}
