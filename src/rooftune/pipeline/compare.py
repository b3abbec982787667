"""`rooftune compare`: models on machines side by side, or the ledgers of two measured runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rooftune.analysis.explain import CAUSES
from rooftune.errors import InputError
from rooftune.pipeline.analyze import analyze_on, check_analysis_options
from rooftune.pipeline.prepare import HOST, open_machine, open_model
from rooftune.protocols import Progress, SilentProgress
from rooftune.quantities import Maybe, Unknown

__all__ = ["ComparedModel", "LedgerDifference", "compare", "compare_ledgers"]


@dataclass(frozen=True)
class ComparedModel:
    """One model on one machine. Times in seconds or `Unknown`; `shares` of the predicted time by bound."""

    model: str
    machine: str
    threads: int
    format: str
    params: Maybe
    macs: Maybe
    flops: Maybe
    fused_bytes: Maybe
    intensity: float | None
    ridge: float | None
    bound: str | None
    shares: Mapping[str, float]
    roof_seconds: float | Unknown
    predicted_seconds: float | Unknown
    coverage: float


def compare(
    sources: Sequence[Any],
    machines: Sequence[Any] = (HOST,),
    *,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
    backend: str = "onnxruntime",
    number_format: str | None = None,
    progress: Progress | None = None,
) -> list[ComparedModel]:
    """Every model on every machine: cost, bound, lower bound and predicted time.

    The parameters are those of `rooftune.analyze`; `machines` are names or `Machine`s.
    """
    check_analysis_options(threads, backend, number_format)
    models = [(str(s), open_model(s, shapes=shapes, batch=batch)) for s in sources]
    targets = [open_machine(m, progress or SilentProgress()) for m in machines]
    rows = []
    for name, model in models:
        for machine in targets:
            found = analyze_on(model, machine, threads, backend, number_format)
            totals = found.totals
            ridge = machine.ridge(found.format, found.threads)
            rows.append(
                ComparedModel(
                    model=model.path.stem if model.path else name,
                    machine=machine.id,
                    threads=found.threads,
                    format=found.format,
                    params=totals.params,
                    macs=totals.macs,
                    flops=totals.flops,
                    fused_bytes=totals.bytes["fused"],
                    intensity=totals.intensity,
                    ridge=None if isinstance(ridge, Unknown) else ridge,
                    bound=totals.bound,
                    shares=_shares(found.groups),
                    roof_seconds=totals.roof_seconds,
                    predicted_seconds=totals.predicted_seconds,
                    coverage=totals.coverage,
                )
            )
    return rows


def _shares(groups: Sequence[Any]) -> dict[str, float]:
    """Share of the predicted time spent in groups of each bound."""
    sums: dict[str, float] = {}
    for group in groups:
        if group.bound and isinstance(group.predicted_seconds, float):
            sums[group.bound] = sums.get(group.bound, 0.0) + group.predicted_seconds
    total = sum(sums.values())
    return {bound: seconds / total for bound, seconds in sums.items()} if total else {}


@dataclass(frozen=True)
class LedgerDifference:
    """One cause in two measured runs: seconds in each and the difference."""

    cause: str
    before_seconds: float
    after_seconds: float

    @property
    def saved_seconds(self) -> float:
        return self.before_seconds - self.after_seconds


def compare_ledgers(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[LedgerDifference]:
    """Where two measured runs differ: their gap ledgers cause by cause, in seconds.

    before, after  records with a profile (of `optimize` or `profile`); of an optimised run its result counts
    Raises InputError for a record without a profile.
    """
    first, second = _profile_of(before), _profile_of(after)
    return [
        LedgerDifference(
            cause,
            first["ledger"].get(cause, 0.0) * first["model_seconds"],
            second["ledger"].get(cause, 0.0) * second["model_seconds"],
        )
        for cause in CAUSES
    ]


def _profile_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    profiles = record.get("profiles") or {}
    found = profiles.get("after") or profiles.get("before")
    if not found or "ledger" not in found:
        raise InputError("the record holds no measured ledger", "give records written by `profile` or `optimize`")
    return found  # type: ignore[no-any-return]
