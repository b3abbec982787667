"""Standardisation, the core of every normalisation layer: zero mean and unit variance over groups of elements."""

from __future__ import annotations

from rooftune.quantities import Count

__all__ = ["standardise"]


def standardise(elements: Count, groups: Count) -> dict[str, Count]:
    """Elementwise operations of (x − mean) / √(variance + ε), with statistics over each of `groups` groups.

    A sum of k elements is counted as k adds.
    """
    return {
        # sum for the mean, subtract it, sum the squares; add ε once per group
        "add": 3 * elements + groups,
        # square, scale by the reciprocal of the deviation
        "mul": 2 * elements,
        # mean, variance, reciprocal
        "div": 3 * groups,
        "sqrt": groups,
    }
