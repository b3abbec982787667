"""What an optimisation writes down: candidates, steps, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rooftune.analysis.analyze import Analysis
from rooftune.execute.competitor import Entry
from rooftune.execute.rank import Ranking
from rooftune.execute.statistics import Interval
from rooftune.pipeline.profile import group_rules_of
from rooftune.plan import Step
from rooftune.quantities import Unknown
from rooftune.records import CandidateRow
from rooftune.verify import Verification

__all__ = ["candidate_rows", "engine_steps", "method_sentences"]


def candidate_rows(
    entries: Sequence[Entry], ranking: Ranking, checks: Mapping[int, Verification]
) -> list[CandidateRow]:
    """What became of every candidate."""
    rows = []
    for index, (entry, standing) in enumerate(zip(entries, ranking.standings, strict=True)):
        interval = standing.lap.seconds
        check = checks.get(index)
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


def engine_steps(
    entries: Sequence[Entry],
    baseline: int,
    best: int,
    kept: int,
    ratio: Interval | None,
    reason: str,
    analyses: Mapping[str, Analysis],
) -> list[Step]:
    """The step from the baseline to the best candidate, with its predicted and measured gain."""
    if best == baseline:
        candidate = entries[baseline].candidate
        return [
            Step(
                name=f"run_with_{candidate.backend}",
                kind="engine",
                options=candidate.to_json(),
                predicted_gain=1.0,
                measured_gain=1.0,
                kept=True,
                reason="the fastest default was not beaten by any candidate",
            )
        ]
    old, new = entries[baseline].candidate, entries[best].candidate
    same = old.backend == new.backend
    predicted = None if same else _predicted_gain(analyses, old.backend, new.backend)
    return [
        Step(
            name=f"tune_{new.backend}" if same else f"run_with_{new.backend}",
            kind="tune" if same else "engine",
            options=new.to_json(),
            predicted_gain=predicted,
            measured_gain=None if ratio is None else ratio.median,
            kept=kept == best,
            reason=reason
            or ("settings are found by measuring; nothing predicts them yet" if same else "faster beyond doubt"),
        )
    ]


def _predicted_gain(analyses: Mapping[str, Analysis], old: str, new: str) -> float | None:
    before, after = analyses.get(group_rules_of(old)), analyses.get(group_rules_of(new))
    if before is None or after is None:
        return None
    a, b = before.totals.predicted_seconds, after.totals.predicted_seconds
    if isinstance(a, Unknown) or isinstance(b, Unknown) or b <= 0:
        return None
    return a / b


def method_sentences(threads: int, ranking: Ranking, rounds: int, samples: int) -> list[str]:
    """How it was measured, in sentences."""
    return [
        f"Each engine ran in a process of its own, bound to {threads} core{'s' if threads > 1 else ''}, in turns with "
        "pauses of 50 ms; a turn is at least 5 runs or 30 ms, and its median counts.",
        f"{len(ranking.standings)} candidates were screened, {len(ranking.finalists)} raced together; after the choice the "
        f"winner and the fastest default raced once more for {rounds} rounds beside a twin of the baseline.",
        "Speed-up is the median of the ratios paired by round with its 95 % bootstrap interval; a gain is kept only "
        "when the whole interval lies above 1.",
        f"Verified on {samples} input{'s' if samples > 1 else ''} against the original model in ONNX Runtime with every "
        "optimisation off; the error is the largest difference over the largest reference value.",
        "Operator times are those of the engine's own profiler, scaled to the time of the model without profiling; what "
        "is left over is shown as dispatch.",
    ]
