"""The gap ledger as a reader sees it: where the measured time went, cause by cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rooftune.report.reading import number, positive, section

__all__ = ["CAUSES", "Bar", "Cause", "Segment", "bar", "segments"]


@dataclass(frozen=True)
class Cause:
    """One cause of time: its key in the record, its title, and what it means."""

    key: str
    title: str
    meaning: str


CAUSES = (
    Cause("roof", "roof", "the lower bound: arithmetic and traffic this machine cannot do faster"),
    Cause("padding", "padding", "work on filler: channels or edges rounded up to whole vectors or tiles"),
    Cause("utilisation", "low utilisation", "arithmetic units idle: shapes too narrow or loops too short for them"),
    Cause("traffic", "extra traffic", "bytes moved beyond the necessary ones: reorders, spills, tensors read twice"),
    Cause("dispatch", "dispatch", "starting kernels and waiting for the other threads"),
    Cause("unfused", "unfused chains", "operators run one by one that one kernel could do in a single pass"),
    Cause("residual", "residual", "measured, but explained by none of the others"),
)
"""The causes in the order in which every report shows them."""


@dataclass(frozen=True)
class Segment:
    """A cause with its share of the measured time (as recorded) and its width (0..1 of the bar drawn)."""

    cause: Cause
    share: float
    width: float


@dataclass(frozen=True)
class Bar:
    """One run's ledger: `width` is its time as a share of the longest run shown."""

    title: str
    seconds: float | None
    width: float
    segments: tuple[Segment, ...]

    def share(self, key: str) -> float | None:
        """Share of the run's time that a cause took, where the ledger names it."""
        return next((segment.share for segment in self.segments if segment.cause.key == key), None)

    def cause_seconds(self, key: str) -> float | None:
        share = self.share(key)
        return None if share is None or self.seconds is None else share * self.seconds


def segments(shares: object) -> tuple[Segment, ...]:
    """The causes a ledger names, widths scaled so that the bar is full even where rounding left a rest.

    A negative share (a residual of an over-attributed run) keeps its number and gets no width.
    """
    if not isinstance(shares, Mapping):
        return ()
    known = [(cause, share) for cause in CAUSES if (share := number(shares.get(cause.key))) is not None]
    drawn = sum(max(share, 0.0) for _, share in known)
    if drawn <= 0:
        return ()
    return tuple(Segment(cause, share, max(share, 0.0) / drawn) for cause, share in known)


def bar(title: str, profile: object, longest: float | None) -> Bar | None:
    """The ledger of a profile as a bar, or None where it has none."""
    parts = segments(section(profile, "ledger"))
    if not parts:
        return None
    seconds = positive(section(profile).get("model_seconds"))
    width = 1.0 if seconds is None or not longest else min(1.0, seconds / longest)
    return Bar(title, seconds, width, parts)
