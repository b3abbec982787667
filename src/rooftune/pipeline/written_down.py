"""What an optimisation writes down: verdict, candidates, steps, refusals, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rooftune.analysis.analyze import Analysis
from rooftune.execute.backend import Candidate
from rooftune.execute.competitor import Entry
from rooftune.pipeline.contest import Choice
from rooftune.pipeline.job import Job
from rooftune.pipeline.profile import group_rules_of
from rooftune.pipeline.variants import Variant
from rooftune.plan import Step
from rooftune.quantities import Unknown, time_text
from rooftune.records import CandidateRow, Placed, Refused, Speedup
from rooftune.verdicts import Exactness

__all__ = [
    "candidate_rows",
    "engine_steps",
    "method_sentences",
    "optimize_verdict",
    "placed",
    "refusals",
    "rewrite_steps",
    "speedup_of",
]

_NOTICEABLE = 1.005
"""A predicted gain below this is none: what went was folded or fused by the backend anyway."""

Analyses = Mapping[tuple[str, str], Analysis]
"""Analyses by variant of the model and fusion rules."""


def placed(entry: Entry, seconds: float) -> Placed:
    """One way of running the model with its time."""
    candidate = entry.candidate
    return Placed(
        entry.name, candidate.backend, dict(candidate.settings), candidate.threads, seconds, candidate.concurrency
    )


def speedup_of(choice: Choice) -> Speedup:
    """The interval of the race after the choice; 1 where the baseline was kept."""
    twin = choice.after.twin
    twins = None if twin is None else {"median": twin.median, "low": twin.low, "high": twin.high}
    if choice.kept == choice.baseline or choice.ratio is None:
        return Speedup(1.0, 1.0, 1.0, 0, twins, choice.after.settled)
    ratio = choice.ratio
    return Speedup(ratio.median, ratio.low, ratio.high, ratio.count, twins, choice.after.settled)


def optimize_verdict(job: Job, choice: Choice, profile: Mapping[str, Any] | None) -> str:
    """What was gained, how sure that is, whether it is right, and how much is left to the roof, in one sentence."""
    before, after = choice.baseline_seconds, choice.kept_seconds
    name, default = choice.entries[choice.kept].name, choice.entries[choice.baseline].name
    if choice.kept != choice.baseline and choice.ratio is not None:
        text = (
            f"{job.name} runs {choice.ratio.median:.2f}× faster ({time_text(before)} → {time_text(after)}) with "
            f"{name} than with the best default, {default}"
        )
    else:
        text = f"{job.name} runs in {time_text(after)} with {name}, the fastest default; nothing beat it"
        text += " beyond doubt" if choice.reason else ""
    check = choice.checks[choice.kept]
    if check.passed and check.max_relative_error is not None:
        text += f"; verified, error {check.max_relative_error:.1e}"
    else:
        text += f"; NOT verified: {check.reason}"
    if profile is not None:
        roof = profile["ledger"]["roof"] * profile["model_seconds"]
        text += f"; {100 * profile['ledger']['roof']:.0f} % of the time is the roof ({time_text(roof)})"
    return text + "."


def candidate_rows(choice: Choice) -> list[CandidateRow]:
    """What became of every candidate."""
    rows = []
    for index, (entry, standing) in enumerate(zip(choice.entries, choice.ranking.standings, strict=True)):
        interval = standing.lap.seconds
        check = choice.checks.get(index)
        rows.append(
            CandidateRow(
                name=entry.name,
                backend=entry.candidate.backend,
                settings=dict(entry.candidate.settings),
                threads=entry.candidate.threads,
                concurrency=entry.candidate.concurrency,
                status="measured" if standing.status == "final" else standing.status,
                seconds=interval.median if interval else None,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                runs=standing.lap.runs,
                load_seconds=standing.lap.load_seconds,
                items_per_second=1.0 / interval.median if interval and interval.median > 0 else None,
                error=check.max_relative_error if check else None,
                verified=check.passed if check else None,
                reason=standing.reason or (check.reason if check else ""),
            )
        )
    return rows


def refusals(job: Job, choice: Choice) -> list[Refused]:
    """Every no: absent backends, candidates whose outputs are not proven, and a winner that was none."""
    unproven = [Refused(choice.entries[i].name, check.reason) for i, check in choice.checks.items() if not check.passed]
    beaten = [Refused(f"run with {choice.entries[choice.best].name}", choice.reason)] if choice.reason else []
    return [*job.absent, *unproven, *beaten]


def rewrite_steps(choice: Choice, variants: Sequence[Variant], analyses: Analyses) -> list[Step]:
    """What the rewritten graph gains on the backend that was chosen, from defaults raced side by side."""
    rewritten = next((v for v in variants if v.rewritten is not None), None)
    if rewritten is None or rewritten.rewritten is None:
        return []
    backend = choice.entries[choice.best].candidate.backend
    pair = [
        next((i for i in choice.ranking.finalists if _is_default(choice, i, backend, name)), None)
        for name in ("", rewritten.name)
    ]
    gain, told = None, "it was not measured beside the original"
    if choice.ranking.final is not None and pair[0] is not None and pair[1] is not None:
        places = [choice.ranking.finalists.index(i) for i in pair if i is not None]
        if not any(choice.ranking.final.laps[i].failed for i in places):
            ratio = choice.ranking.final.ratio(*places)
            gain, told = (
                ratio.median,
                f"{ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] with {backend}'s default",
            )
    kept = choice.entries[choice.kept].variant == rewritten.name
    rules = group_rules_of(backend)
    before, after = analyses[("", rules)], analyses[(rewritten.name, rules)]
    predicted = _gain(before, after)
    counts: dict[str, int] = {}
    for entry in rewritten.rewritten.journal.applied:
        counts[entry.rule] = counts.get(entry.rule, 0) + 1
    return [
        Step(
            name="rewrite_graph",
            kind="rewrite",
            options=counts,
            predicted_gain=predicted,
            measured_gain=gain,
            kept=kept,
            reason=told if predicted is None or predicted > _NOTICEABLE else f"{told}; {backend} fuses the same itself",
        )
    ]


def _is_default(choice: Choice, index: int, backend: str, variant: str) -> bool:
    """True for the first entry of a backend on a variant: its default."""
    entry = choice.entries[index]
    first = next(
        i for i, e in enumerate(choice.entries) if e.candidate.backend == backend and e.variant == entry.variant
    )
    return entry.candidate.backend == backend and entry.variant == variant and index == first


def engine_steps(choice: Choice, analyses: Analyses) -> list[Step]:
    """The step from the baseline to the best candidate, with its predicted and measured gain."""
    old, new = choice.entries[choice.baseline].candidate, choice.entries[choice.best].candidate
    if old == new and choice.best != choice.baseline:
        return []  # only the graph differs, which is the rewriting's step
    if choice.best == choice.baseline:
        return [
            Step(
                name=f"run_with_{old.backend}",
                kind="engine",
                options=old.to_json(),
                predicted_gain=1.0,
                measured_gain=1.0,
                kept=True,
                reason="the fastest default was not beaten by any candidate",
            )
        ]
    same = old.backend == new.backend
    new_analysis = analyses[(choice.entries[choice.best].variant, group_rules_of(new.backend))]
    untold = "settings are found by measuring; nothing predicts them yet" if same else "faster beyond doubt"
    return [
        Step(
            name=f"tune_{new.backend}" if same else f"run_with_{new.backend}",
            kind="tune" if same else "engine",
            options=new.to_json(),
            predicted_gain=None if same else _gain(analyses[("", group_rules_of(old.backend))], new_analysis),
            measured_gain=None if choice.ratio is None else choice.ratio.median,
            kept=choice.kept == choice.best,
            reason=choice.reason or untold,
        )
    ]


def _gain(before: Analysis, after: Analysis) -> float | None:
    a, b = before.totals.predicted_seconds, after.totals.predicted_seconds
    if isinstance(a, Unknown) or isinstance(b, Unknown) or b <= 0:
        return None
    return a / b


def _on_exactness(candidate: Candidate) -> list[str]:
    if candidate.exactness is not Exactness.APPROXIMATES:
        return []
    return [
        "Some convolutions are computed by formulas that need less arithmetic and round otherwise (Winograd's): their "
        "error is some five times that of the formula as written and was verified like all others; the roof of such an "
        "operator counts the arithmetic its formula does, bounds of the analysis count the graph's. "
        "`--exactness reassociates` leaves them out."
    ]


def method_sentences(job: Job, choice: Choice) -> list[str]:
    """How it was measured, in sentences."""
    standings = choice.ranking.standings
    screened = sum(1 for s in standings if s.lap.runs or s.lap.failed)
    finalists = len(choice.ranking.finalists)
    return [
        f"Each engine ran in a process of its own, bound to {job.threads} core{'s' if job.threads > 1 else ''}, in "
        "turns with pauses of 50 ms; a turn is at least 5 runs or 30 ms, and its median counts.",
        f"Of {len(standings)} candidates the budget let {screened} be screened alone, and {finalists} reached the "
        "final race; after the choice the winner and the fastest default raced once more for "
        f"{choice.after.rounds} rounds beside a twin of the baseline.",
        "Speed-up is the median of the ratios paired by round with its 95 % bootstrap interval; a gain is kept only "
        "when the whole interval lies above 1.",
        f"Verified on {len(job.samples)} input{'s' if len(job.samples) > 1 else ''} against the original model in ONNX "
        "Runtime with every optimisation off; the error is the largest difference over the largest reference value.",
        *_on_exactness(choice.entries[choice.kept].candidate),
        "Operator times are those of the engine's own profiler, scaled to the time of the model without profiling; "
        "what is left over is shown as dispatch.",
    ]
