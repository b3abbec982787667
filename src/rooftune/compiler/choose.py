"""Which kernel runs an operation, and with which schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rooftune.compiler.kernels.depthwise import Depthwise
from rooftune.compiler.kernels.direct import Direct
from rooftune.compiler.kernels.winograd import Winograd
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Convolution
from rooftune.compiler.target import Target

__all__ = ["Ranked", "Schedule", "candidates", "estimate", "guesses"]

Schedule = Direct | Winograd | Depthwise
"""How a convolution is computed."""


@dataclass(frozen=True)
class Ranked:
    """A schedule, the seconds it takes (measured, or guessed), and how many floats of weights it keeps."""

    schedule: Schedule
    seconds: float
    floats: int
    measured: bool


_INSTRUCTIONS = 3.5e9
"""Vector instructions a second, for guesses: only so that these and measurements can be compared at all."""

_TRANSFORMED = {2: 60.0, 4: 160.0, 6: 420.0}
"""Instructions to transform one tile of one block of channels, about the same in and out."""


def candidates(op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True) -> Iterator[Schedule]:
    """Everything that can run a convolution."""
    if Depthwise.takes(op, x.channels, y.channels) is None:
        yield from Depthwise.space(op, x, y, target)
        return
    if Direct.takes(op) is None:
        yield from Direct.space(op, x, y, target)
    if winograd and Winograd.takes(op) is None:
        yield from Winograd.space(op, x, y, target)


def estimate(schedule: Schedule, op: Convolution, x: Map, y: Map, target: Target) -> float:
    """Vector instructions a schedule needs, roughly: good enough to say which few are worth timing."""
    pixels = y.images * y.height * y.width
    if isinstance(schedule, Depthwise):
        waste = -(-y.width // schedule.columns) * schedule.columns / y.width
        return pixels * y.blocks * (op.kernel[0] * op.kernel[1] * waste + 4 / schedule.columns)
    if isinstance(schedule, Direct):
        return pixels * y.blocks * x.channels * op.kernel[0] * op.kernel[1] * schedule.cost(y)
    tiles = y.images * -(-y.height // schedule.tile) * -(-y.width // schedule.tile)
    batches = -(-tiles // schedule.batch)
    points = (schedule.tile + 2) ** 2
    done = -(-min(tiles, schedule.batch) // schedule.columns) * schedule.columns * batches
    loaded = 1 + 0.5 / schedule.columns
    turns = -(-batches // target.threads)
    idle = 1.0 if schedule.together else turns * target.threads / batches
    # weights come from a shared cache once a batch: some four times as slow as a multiply-add
    streamed = 4 * points * x.channels * y.blocks * (1 if schedule.together else batches)
    products = points * done * x.channels * y.blocks * loaded
    return (products + streamed + tiles * (x.blocks + y.blocks) * _TRANSFORMED[schedule.tile]) * idle


def guesses(op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True) -> list[Ranked]:
    """All that can run a convolution, the best guess first; the largest tiles, whose error is the largest, are not
    guessed."""
    found = candidates(op, x, y, target, winograd=winograd)
    allowed = [s for s in found if not isinstance(s, Winograd) or s.tile <= 4]
    second = _INSTRUCTIONS * target.threads
    ranked = [
        Ranked(s, estimate(s, op, x, y, target) / second, s.weight_floats(op, x, y), measured=False) for s in allowed
    ]
    return sorted(ranked, key=lambda r: r.seconds)
