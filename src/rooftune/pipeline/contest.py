"""Who runs the model fastest and right: candidates measured, verified, and the winner raced once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rooftune.errors import InputError
from rooftune.execute.backend import Candidate, ModelFacts
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.competitor import Entry
from rooftune.execute.race import RaceResult, race
from rooftune.execute.rank import Ranking, rank
from rooftune.execute.statistics import Interval
from rooftune.execute.worker import EngineFailure, Worker, readable
from rooftune.graph.model import Model
from rooftune.pipeline.job import Job
from rooftune.pipeline.variants import Variant
from rooftune.protocols import Arrays, Progress
from rooftune.verdicts import Exactness
from rooftune.verify import Verification, roundings, verify

__all__ = ["Choice", "choose"]

_RACE_SHARE = 0.3  # of the budget, for the race after the choice
_ENGINE_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}


@dataclass(frozen=True)
class Choice:
    """The outcome of the contest. Entries are named by their index.

    checks    verification of every finalist
    baseline  the fastest default that is right
    best      the fastest of all that is right, by the race of the finalists
    after     the race after the choice: baseline, and best where it is another
    reason    why `best` is not kept though it is not the baseline; "" otherwise
    """

    entries: Sequence[Entry]
    ranking: Ranking
    checks: Mapping[int, Verification]
    baseline: int
    best: int
    after: RaceResult
    ratio: Interval | None
    reason: str

    @property
    def kept(self) -> int:
        return self.baseline if self.reason else self.best

    @property
    def baseline_seconds(self) -> float:
        return self._seconds(self.baseline, 0)

    @property
    def kept_seconds(self) -> float:
        return self.baseline_seconds if self.kept == self.baseline else self._seconds(self.kept, 1)

    def _seconds(self, index: int, place: int) -> float:
        """Of the race after the choice; of the race of the finalists where that one failed."""
        interval = self.after.laps[place].seconds or self.ranking.standings[index].lap.seconds
        assert interval is not None
        return interval.median


def choose(job: Job, variants: Sequence[Variant], progress: Progress) -> Choice:
    """Measure every candidate on every variant, verify the finalists, and race the winner with the baseline.

    The first variant is the original model; defaults on it are what a baseline is chosen from. Raises InputError when
    the reference cannot be run or no backend runs the model.
    """
    path = variants[0].path
    with progress.stage("running the reference"):
        reference = _reference(job, path)
    entries, defaults, baselines = _entries(job, variants)
    with progress.stage(f"measuring {len(entries)} candidates"):
        ranking = rank(
            entries,
            job.samples[0],
            budget_seconds=job.budget * (1 - _RACE_SHARE),
            keep=range(defaults),
            progress=progress,
        )
    if ranking.best is None:
        reasons = "; ".join(dict.fromkeys(s.reason for s in ranking.standings if s.reason))
        raise _not_runnable(job.model, path, f"no backend runs the model: {reasons}")
    checks: dict[int, Verification] = {}
    for index in ranking.finalists:
        with progress.stage(f"verifying {entries[index].name}"):
            checks[index] = _verified(job, entries[index], reference)
    baseline, best = _places(ranking, checks, baselines)
    racing = [entries[i] for i in dict.fromkeys((baseline, best))]
    with progress.stage(f"racing {entries[best].name} against the baseline"):
        after = race(racing, job.samples[0], budget_seconds=job.budget * _RACE_SHARE, progress=progress)
    ratio = after.ratio(0, 1) if best != baseline and not any(lap.failed for lap in after.laps) else None
    reason = "" if best == baseline else _why_not(entries[best].name, after, ratio)
    return Choice(entries, ranking, checks, baseline, best, after, ratio, reason)


def _entries(job: Job, variants: Sequence[Variant]) -> tuple[list[Entry], int, Collection[int]]:
    """All candidates on all variants, how many of the first are defaults, and which may be the baseline.

    The defaults come first, those on the original before all others: whatever the budget, a baseline must be there,
    and what a variant gains is seen from defaults.
    """
    defaults: list[Entry] = []
    others: list[Entry] = []
    for variant in variants:
        facts = ModelFacts(branches=_has_branches(variant.model), budget=job.budget)
        for backend in job.backends:
            space = backend.space(job.threads, job.objective, facts)
            allowed = [c for c in space if c.exactness.within(job.exactness)]
            first, *rest = (Entry(candidate, variant.path, job.shapes, variant.name) for candidate in allowed)
            defaults.append(first)
            others += rest
    peers = {backend.name for backend in job.backends if backend.peer} or {backend.name for backend in job.backends}
    baselines = [i for i, e in enumerate(defaults[: len(job.backends)]) if e.candidate.backend in peers]
    return [*defaults, *others], len(defaults), baselines


def _has_branches(model: Model) -> bool:
    return any(len({id(n) for n, _ in v.uses()}) > 1 for node in model.ir.graph for v in node.outputs)


def _places(ranking: Ranking, checks: Mapping[int, Verification], baselines: Collection[int]) -> tuple[int, int]:
    """Baseline and best among the finalists.

    Where no default is right the fastest that is right is both. Where nothing could be proven the fastest default
    stands as it is, and the record says why it is unproven.
    """
    seconds = {i: interval.median for i in ranking.finalists if (interval := ranking.standings[i].lap.seconds)}
    fastest = sorted(seconds, key=lambda i: seconds[i])
    right = [i for i in fastest if checks[i].passed]
    by_default = [i for i in fastest if i in baselines]
    baseline = next(iter([i for i in by_default if i in right] or right or by_default or fastest))
    return baseline, right[0] if right else baseline


def _why_not(name: str, after: RaceResult, ratio: Interval | None) -> str:
    if ratio is None:
        failure = next(lap for lap in after.laps if lap.failed)
        return f"{failure.entry.name} failed in the race after the choice: {failure.error}"
    if ratio.low <= 1.0:
        return f"{name} was not faster beyond doubt: {ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    return ""


def _reference(job: Job, path: Path) -> tuple[list[Arrays], dict[str, float]]:
    """Outputs of the original model with every optimisation off on every sample, and what a rounding is worth."""
    try:
        worker = Worker(reference_candidate(), path, input_shapes=job.shapes)
    except EngineFailure as failure:
        cause = f"ONNX Runtime cannot load the model, so nothing can be verified: {failure.readable}"
        raise _not_runnable(job.model, path, cause) from None
    with worker:
        try:
            outputs: list[Arrays] = [worker.run(sample) for sample in job.samples]
            return outputs, roundings(worker.run, job.samples, outputs)
        except EngineFailure as failure:
            raise InputError(
                f"ONNX Runtime cannot run the model on these inputs ({job.given}): {failure.readable}",
                "give inputs it can be run on with --input FILE.npz",
            ) from None


def _verified(job: Job, entry: Entry, reference: tuple[Sequence[Arrays], Mapping[str, float]]) -> Verification:
    exactness = Exactness.REASSOCIATES
    try:
        found = _outputs(entry.candidate, job, entry.model_path)
    except EngineFailure as failure:
        return Verification(False, None, exactness.tolerance, exactness.value, (), failure.reason)
    return verify(reference[0], found, exactness, rounding=reference[1], inputs_vary=bool(job.samples[0]))


def _outputs(candidate: Candidate, job: Job, path: Path) -> list[Arrays]:
    with Worker(candidate, path, input_shapes=job.shapes) as worker:
        return [worker.run(sample) for sample in job.samples]


def _not_runnable(model: Model, path: Path, cause: str) -> InputError:
    """The engine's words, unless the model has operators of domains no engine here brings along: then those."""
    foreign = [
        n
        for n in model.ir.graph.all_nodes()
        if n.domain not in _ENGINE_DOMAINS and (n.domain, n.op_type, n.overload) not in model.ir.functions
    ]
    remedy = "see what it would cost with `rooftune analyze`"
    if foreign:
        names = ", ".join(dict.fromkeys(f"{n.domain}::{n.op_type}" for n in foreign))
        return InputError(
            f"no backend runs {names} (node {foreign[0].name or 'without a name'})", f"replace it, or {remedy}"
        )
    # the engine saw our copy, the user knows the original
    text = readable(cause).replace(str(path.absolute()), str(model.path or "the model"))
    return InputError(text, f"change what it names, or {remedy}")
