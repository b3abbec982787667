"""Schedules chosen by measurement: the best few guesses timed on the real shape, the results remembered."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir

from rooftune.compiler.choose import Ranked, Schedule, candidates, estimate, guesses
from rooftune.compiler.kernels.winograd import Winograd
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Convolution
from rooftune.compiler.program import Program, build
from rooftune.compiler.target import Target
from rooftune.compiler.views import map_view
from rooftune.protocols import Store

__all__ = ["COMPILER", "Timer", "Tuner"]

COMPILER = 4
"""Raised when a change of the kernels, or of how they are measured, makes older measurements worthless."""

_OF_A_KIND = 2
"""How many of each algorithm (of each tile size, for Winograd's) are timed."""


_WORTH_MEASURING = 1e-5
"""Seconds from which a convolution is worth being measured: every candidate costs some 50 ms to compile."""


class Timer(Protocol):
    """Seconds that the steps of `node` take in each of these programs, weights cold, the programs in turns."""

    def __call__(self, programs: Sequence[Program], node: str) -> Sequence[float]: ...


@dataclass
class Tuner:
    """Chooses schedules by the clock.

    timer      times programs on as many threads as the model will run on
    store      remembers by shape, machine and version
    machine    what the processor is called
    tiles      sizes of Winograd's tiles that are allowed
    left       seconds that may still be spent; after that guesses are taken
    cut_short  True when a guess was taken for want of time
    """

    timer: Timer
    store: Store
    machine: str
    clock: Any
    left: float
    tiles: tuple[int, ...] = (2, 4)
    cut_short: bool = False

    def __call__(self, op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True) -> list[Ranked]:
        """The best few with their times, the fastest first."""
        options = self._options(op, x, y, target, winograd)
        guessed = guesses(op, x, y, target, winograd=winograd)
        if guessed[0].seconds < _WORTH_MEASURING:
            return guessed
        if len(options) == 1:
            return [r for r in guessed if r.schedule == options[0]] or guessed
        key = self._key(op, x, y, target)
        known = self._known(key, options)
        if known is None and self.left <= 0:
            self.cut_short = True
            return guessed
        if known is None:
            started = self.clock()
            programs = [_alone(op, x, y, target, option) for option in options]
            known = list(self.timer(programs, op.nodes[0]))
            entries = sorted(zip(options, known, strict=True), key=lambda entry: entry[1])
            self.store.put(key, [{"schedule": _plain(s), "seconds": t} for s, t in entries])
            self.left -= self.clock() - started
        ranked = [Ranked(s, t, s.weight_floats(op, x, y), True) for s, t in zip(options, known, strict=True)]
        return sorted(ranked, key=lambda r: r.seconds)

    def _known(self, key: str, options: Sequence[Schedule]) -> list[float] | None:
        """Seconds of each option when these were measured; None where they were not, or nobody can read what is
        stored."""
        stored = self.store.get(key)
        if not isinstance(stored, list) or not all(isinstance(e, dict) for e in stored):
            return None
        found = [next((e.get("seconds") for e in stored if e.get("schedule") == _plain(o)), None) for o in options]
        seconds = [float(s) for s in found if isinstance(s, float | int) and math.isfinite(s) and s > 0]
        return seconds if len(seconds) == len(options) else None

    def _options(self, op: Convolution, x: Map, y: Map, target: Target, winograd: bool) -> list[Schedule]:
        """The most promising ones of every algorithm, with weights transformed ahead and without."""
        found: dict[tuple[str, int, bool], list[Schedule]] = {}
        ranked = sorted(candidates(op, x, y, target, winograd=winograd), key=lambda s: estimate(s, op, x, y, target))
        for schedule in ranked:
            tile = schedule.tile if isinstance(schedule, Winograd) else 0
            if tile and tile not in self.tiles:
                continue
            kind = found.setdefault((type(schedule).__name__, tile, getattr(schedule, "raw", False)), [])
            if len(kind) < _OF_A_KIND:
                kind.append(schedule)
        return [schedule for kind in found.values() for schedule in kind]

    def _key(self, op: Convolution, x: Map, y: Map, target: Target) -> str:
        maps = [asdict(m.with_halo((0, 0, 0, 0))) for m in (x, y)]
        return json.dumps([self.machine, target.threads, target.isa, COMPILER, self.shape(op), maps], sort_keys=True)

    @staticmethod
    def shape(op: Convolution) -> dict[str, Any]:
        """What a convolution is, whatever its values are called."""
        return asdict(replace(op, nodes=(), x="", y="", weight="", bias="", residual="r" if op.residual else ""))


def _plain(schedule: Schedule) -> dict[str, Any]:
    return {"kind": type(schedule).__name__.lower(), **asdict(schedule)}


def _alone(op: Convolution, x: Map, y: Map, target: Target, schedule: Schedule) -> Program:
    """A program of one convolution with random weights; its input is what the operation before would leave."""
    random = np.random.default_rng(0)
    weight = random.standard_normal((y.channels, x.channels // op.groups, *op.kernel)).astype(np.float32)
    inputs = ["x", "r"] if op.residual else ["x"]
    shapes = {
        "x": (x.images, x.channels, x.height, x.width),
        "y": (y.images, y.channels, y.height, y.width),
    }
    if op.residual:
        shapes["r"] = shapes["y"]
    work = Lowered(
        operations=[replace(op, x="x", y="y", weight="w", bias="", residual="r" if op.residual else "")],
        shapes=shapes,
        dims=dict(shapes),
        inputs=inputs,
        outputs=["y"],
        found={name: map_view(name, shape) for name, shape in shapes.items()},
        constants={"w": ir.Tensor(weight)},
    )

    def fixed(op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True) -> list[Ranked]:
        return [Ranked(schedule, 1.0, 0, measured=False)]

    return build(work, target, choose=fixed)
