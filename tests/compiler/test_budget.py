"""Schedules under a bound of weights: never above it where that can be, and nearly as fast as can be."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.compiler.budget import within
from rooftune.compiler.choose import Ranked
from rooftune.compiler.kernels.direct import Direct

OPTIONS = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=4,
)


@given(OPTIONS, st.integers(0, 220))
@settings(max_examples=300, deadline=None)
def test_bounds_hold_where_they_can(options: dict[str, list[tuple[int, int]]], room: int) -> None:
    ranked = {
        name: [Ranked(Direct(i + 1, 1), seconds, floats, True) for i, (seconds, floats) in enumerate(entries)]
        for name, entries in options.items()
    }
    chosen = within(ranked, room)
    assert chosen.keys() == options.keys()
    assert all(chosen[name] in ranked[name] for name in chosen)
    total = sum(r.floats for r in chosen.values())
    least = sum(min(f for _, f in entries) for entries in options.values())
    assert total <= max(room, least)
    fits = [c for c in itertools.product(*ranked.values()) if sum(r.floats for r in c) <= room]
    if fits:
        best = min(sum(r.seconds for r in c) for c in fits)
        # one exchange too many at most
        widest = max(max(s for s, _ in e) - min(s for s, _ in e) for e in options.values())
        assert sum(r.seconds for r in chosen.values()) <= best + widest


def test_with_room_everything_is_the_fastest() -> None:
    ranked = {"a": [Ranked(Direct(1, 1), 2.0, 1, True), Ranked(Direct(2, 1), 1.0, 100, True)]}
    assert within(ranked, 100)["a"].seconds == 1.0
    assert within(ranked, 99)["a"].seconds == 2.0
