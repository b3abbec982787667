"""One arena for all values of a run: places are used again when nobody reads what is there any more."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["ALIGNMENT", "place_values"]

Name = TypeVar("Name", bound=Hashable)

ALIGNMENT = 64
"""Bytes every value begins at a multiple of."""


def place_values(sizes: Mapping[Name, int], used: Mapping[Name, tuple[int, int]]) -> tuple[dict[Name, int], int]:
    """Where each value lies, in bytes, and how large the arena is.

    sizes  bytes of each value; `used` the first and the last step that touches it
    Large values are placed first, each at the lowest place that is free while it lives.
    """
    order: Sequence[Name] = sorted(sizes, key=lambda n: (-sizes[n], used[n], str(n)))
    places: dict[Name, int] = {}
    total = 0
    for name in order:
        first, last = used[name]
        busy = sorted(
            (places[other], places[other] + sizes[other])
            for other in places
            if used[other][0] <= last and first <= used[other][1]
        )
        place = 0
        for start, end in busy:
            if place + sizes[name] <= start:
                break
            place = max(place, -(-end // ALIGNMENT) * ALIGNMENT)
        places[name] = place
        total = max(total, place + sizes[name])
    return places, -(-total // ALIGNMENT) * ALIGNMENT
