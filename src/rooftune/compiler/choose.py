"""Which kernel runs an operation, and with which schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from rooftune.compiler.kernels.depthwise import Depthwise
from rooftune.compiler.kernels.direct import Direct
from rooftune.compiler.kernels.fourier import Fourier
from rooftune.compiler.kernels.grouped import Grouped
from rooftune.compiler.kernels.winograd import Winograd
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Convolution
from rooftune.compiler.target import Target

__all__ = ["Ranked", "Schedule", "arithmetic", "candidates", "estimate", "guesses", "said"]

Schedule = Direct | Winograd | Depthwise | Grouped | Fourier
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


_WEIGHTS = {2: 60.0, 4: 140.0, 6: 280.0}
"""The same for the weights of one input channel and one block of output channels; most of it is writing them."""


def candidates(op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True) -> Iterator[Schedule]:
    """Everything that can run a convolution."""
    if winograd and Fourier.takes(op, x.channels, y.channels) is None:
        yield from Fourier.space(op, x, y, target)
    if Depthwise.takes(op, x.channels, y.channels) is None:
        yield from Depthwise.space(op, x, y, target)
        return
    if Grouped.takes(op) is None:
        yield from Grouped.space(op, x, y, target)
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
    if isinstance(schedule, Fourier):
        return schedule.cost(op, x, y, target)
    if isinstance(schedule, Grouped):
        return pixels * y.blocks * schedule.cost(op, x, y)
    if isinstance(schedule, Direct):
        return pixels * y.blocks * x.channels * op.kernel[0] * op.kernel[1] * schedule.cost(y)
    return _winograd_cost(schedule, op, x, y, target)


def _winograd_cost(schedule: Winograd, op: Convolution, x: Map, y: Map, target: Target) -> float:
    """Vector instructions, and what waiting for weights costs in them."""
    tile, raw, together = schedule.tile, schedule.raw, schedule.together
    tiles = schedule.count(op, y, tile)
    batches, points, pairs = -(-tiles // schedule.batch), (tile + 2) ** 2, x.channels * y.blocks
    done = -(-min(tiles, schedule.batch) // schedule.columns) * schedule.columns * batches
    products = points * done * pairs * (1 + 0.5 / schedule.columns)
    data, results = (tiles * blocks * _TRANSFORMED[tile] for blocks in (x.blocks, y.blocks))
    # every thread transforms for itself what all read, or fetches it from the caches of the others
    again = min(target.threads, 4)
    if raw and together:
        # sums of a turn are added to those of the turns before, in the thread's own cache
        weights = pairs * _WEIGHTS[tile] + 2.0 * points * done * y.blocks * (
            -(-x.blocks // schedule.depth(x, y, target)) - 1
        )
        data, jobs = data * again, y.blocks // schedule.vectors
    elif raw:
        weights, jobs = pairs * (2 * _WEIGHTS[tile] * again + points * batches), batches
    else:
        # from memory the first time; panels of a single vector are too short for the processor to see them coming
        weights = points * pairs * (batches + (4.0 if schedule.vectors == 1 else 2.0))
        jobs = target.threads if together else batches
    idle = -(-jobs // target.threads) * target.threads / jobs
    return (products + weights + data + results) * idle


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


def arithmetic(schedule: Schedule, op: Convolution, x: Map, y: Map, target: Target) -> float:
    """Operations a schedule does, transforms included, over those of the convolution as it is written."""
    written = y.images * y.height * y.width * y.blocks * x.channels * op.kernel[0] * op.kernel[1] / op.groups
    if isinstance(schedule, Winograd):
        tiles = schedule.count(op, y, schedule.tile)
        products = (schedule.tile + 2) ** 2 * tiles * x.channels * y.blocks
        transforms = tiles * (x.blocks + y.blocks) * _TRANSFORMED[schedule.tile]
        if schedule.raw:
            transforms += x.channels * y.blocks * _WEIGHTS[schedule.tile]
        return (products + transforms) / written
    if isinstance(schedule, Fourier):
        return schedule.instructions(op, x, y) / written
    return 1.0


def said(schedule: Schedule) -> str:
    """A schedule in a few words: `winograd F(4×4) 14×2 together`."""
    settings = asdict(schedule)
    words = [type(schedule).__name__.lower()]
    tile = settings.pop("tile", None)
    if tile is not None:
        words.append(f"F({tile}×{tile})" if isinstance(schedule, Winograd) else f"{tile}×{tile}")
    columns, vectors = settings.pop("columns", None), settings.pop("vectors", None)
    words.append("×".join(str(n) for n in (columns, vectors) if n is not None))
    for name, value in settings.items():
        if value is True:
            words.append(name)
        elif value:
            words.append(f"{name} {value}")
    return " ".join(words)
