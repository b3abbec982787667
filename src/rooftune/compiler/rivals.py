"""The best two ways of computing every convolution, compared where they will run: inside the whole program.

Alone, a kernel has the caches to itself and finds its input as it likes; in the program it finds what the kernel before
left. Where two schedules are close, that decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from rooftune.compiler.choose import Ranked, Schedule
from rooftune.compiler.program import Program, Step

__all__ = ["better_of", "second_choices"]

_CLOSE = 1.3
"""So much slower a rival may be alone to have a chance."""

_SURE = 0.98
"""A rival must be faster than this share of the time to be taken: what is measured is never exact."""


def second_choices(program: Program) -> dict[str, Schedule]:
    """For every convolution with a close rival whose weights are not larger, that one, by the value it makes."""
    found = {}
    for step in program.steps:
        chosen = _chosen(step)
        if chosen is None:
            continue
        rivals = [
            r
            for r in step.others
            if r.measured
            and r.schedule != step.schedule
            and r.seconds <= _CLOSE * chosen.seconds
            and r.floats <= chosen.floats
        ]
        if rivals:
            found[step.value] = min(rivals, key=lambda r: r.seconds).schedule
    return found


def better_of(first: Program, second: Program, seconds: tuple[Sequence[float], Sequence[float]]) -> dict[str, Schedule]:
    """The faster schedule of every convolution, by the value it makes, from the seconds of both programs' steps."""
    times = [
        {step.value: took for step, took in zip(program.steps, of, strict=True) if step.schedule is not None}
        for program, of in zip((first, second), seconds, strict=True)
    ]
    others = {step.value: step.schedule for step in second.steps if step.schedule is not None}
    return {
        step.value: others[step.value] if times[1][step.value] < _SURE * times[0][step.value] else step.schedule
        for step in first.steps
        if step.schedule is not None
    }


def _chosen(step: Step) -> Ranked | None:
    return next((r for r in step.others if r.schedule == step.schedule), None)
