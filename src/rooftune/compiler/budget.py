"""Which of several schedules each convolution gets, so that all weights together stay within bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rooftune.compiler.choose import Ranked

__all__ = ["MOST_WEIGHTS", "within"]

MOST_WEIGHTS = 1.3
"""Packed weights of a program, over those of the model: transformed ones may be four times as large."""


def within(options: Mapping[str, Sequence[Ranked]], room: float) -> dict[str, Ranked]:
    """The fastest choice whose weights have room, nearly; the smallest where nothing has.

    Starts with the fastest of each and takes, as long as there are too many weights, the exchange that costs the least
    time per float saved (greedy for the knapsack problem: off by less than one exchange).
    """
    chosen = {name: min(ranked, key=lambda r: (r.seconds, r.floats)) for name, ranked in options.items()}
    total = sum(r.floats for r in chosen.values())
    while total > room:
        exchanges = [
            ((other.seconds - chosen[name].seconds) / (chosen[name].floats - other.floats), name, place)
            for name, ranked in options.items()
            for place, other in enumerate(ranked)
            if other.floats < chosen[name].floats
        ]
        if not exchanges:
            break
        _, name, place = min(exchanges)
        total -= chosen[name].floats - options[name][place].floats
        chosen[name] = options[name][place]
    return chosen
