"""Counts of elementwise operations of several parts, put together."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.quantities import Count

__all__ = ["tally"]


def tally(*parts: Mapping[str, Count]) -> dict[str, Count]:
    """Sum by class: `tally({"add": 2}, {"add": 1, "exp": 4})` is `{"add": 3, "exp": 4}`."""
    total: dict[str, Count] = {}
    for part in parts:
        for kind, count in part.items():
            total[kind] = total.get(kind, 0) + count
    return total
