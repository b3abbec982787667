"""Medians with bootstrap intervals, for times and for paired ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Interval", "median_interval", "ratio_interval"]

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A median with the bounds a bootstrap gives it (95 %); `count` samples went in."""

    median: float
    low: float
    high: float
    count: int

    def excludes(self, value: float) -> bool:
        """True when `value` lies outside: a difference may be called."""
        return value < self.low or value > self.high

    def within(self, low: float, high: float) -> bool:
        """True when the whole interval lies inside [low, high]."""
        return low <= self.low and self.high <= high


def median_interval(samples: Sequence[float], seed: int = 0) -> Interval:
    """Median of the samples and the percentile bootstrap interval of it (Efron 1979), seeded."""
    if not samples:
        raise ValueError("no samples, no median")
    values = np.asarray(samples, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(values), size=(RESAMPLES, len(values)))
    medians = np.median(values[drawn], axis=1)
    low, high = np.quantile(medians, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(np.median(values)), float(low), float(high), len(values))


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float], seed: int = 0) -> Interval:
    """Median of the ratios of samples taken in the same round; what slows both in a round cancels."""
    if len(numerator) != len(denominator):
        raise ValueError(f"pairs are needed, found {len(numerator)} and {len(denominator)} samples")
    return median_interval([a / b for a, b in zip(numerator, denominator)], seed)
