"""A whole model as one program that all threads run together, phase by phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np

from rooftune.compiler.budget import MOST_WEIGHTS, within
from rooftune.compiler.choose import Ranked, Schedule, arithmetic, guesses
from rooftune.compiler.emit.work import Phase
from rooftune.compiler.kernels.borders import CLEAR, emit_clear, emit_pack, emit_unpack
from rooftune.compiler.kernels.kernel import kernel_of
from rooftune.compiler.lowering import Lowered, Shape
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.memory import place_values
from rooftune.compiler.operations import Convolution, Embedding, Floats, Integers, Operation, Pointwise
from rooftune.compiler.program_text import program_text
from rooftune.compiler.target import Target

__all__ = ["Choose", "Program", "Selection", "Step", "build"]

_FILLED = 1.03
"""What other weights grow to at most, where the last vector is filled up."""

_FEW_CHANNELS = 4
"""Images of at most so many channels are not filled up to a vector."""


class Choose(Protocol):
    """Says what can run a convolution and how long each takes, the best first."""

    def __call__(
        self, op: Convolution, x: Map, y: Map, target: Target, *, winograd: bool = True
    ) -> Sequence[Ranked]: ...


@dataclass(frozen=True)
class Step:
    """One operation as it will run: its phases, and why they look so: the schedule and all that were compared.

    arithmetic  operations it does, over those of the operation as it is written
    value       what it makes, where a schedule was chosen
    scratch     where its threads find memory of their own, in bytes from the start of the arena
    """

    nodes: tuple[str, ...]
    kernel: str
    phases: tuple[Phase, ...]
    schedule: Schedule | None = None
    others: tuple[Ranked, ...] = ()
    arithmetic: float = 1.0
    value: str = ""
    scratch: int = 0

    def scratch_bytes(self, threads: int) -> int:
        """What so many threads need beside what they read and write."""
        return 4 * max((phase.shared + phase.scratch * threads for phase in self.phases), default=0)


@dataclass(frozen=True)
class Selection:
    """Integers of an input that select one of so many rows: who runs the program lets none through that does not."""

    indices: Integers
    rows: int


@dataclass(frozen=True)
class Program:
    """Everything that is known before the code is compiled.

    places         bytes from the start of the arena, by value; `arena` its size, scratch memory included
    weights        what is packed, by name, made when it is asked for; `weight_places` floats from the start
    inputs, outputs  names in the order of the pointers, `dims` their shapes
    integers       element types of the inputs that are no fp32 numbers, by name
    selections     what the program counts on not to be outside
    """

    target: Target
    steps: tuple[Step, ...]
    maps: Mapping[str, Map]
    places: Mapping[str, int]
    arena: int
    weights: Mapping[str, Callable[[], Floats]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dims: Mapping[str, tuple[int, ...]]
    integers: Mapping[str, str] = field(default_factory=dict)
    selections: tuple[Selection, ...] = ()

    def dtype(self, name: str) -> str:
        """The element type of an input or output."""
        return self.integers.get(name, "float32")

    @property
    def phases(self) -> tuple[tuple[Step, Phase], ...]:
        """All phases in running order, each with its step."""
        return tuple((step, phase) for step in self.steps for phase in step.phases)

    def pack(self) -> tuple[Floats, dict[str, int]]:
        """All packed weights in one array, and where each begins."""
        parts: list[Floats] = []
        places: dict[str, int] = {}
        position = 0
        for name, make in self.weights.items():
            part = make()
            places[name] = position
            parts.append(part)
            position += -(-part.size // 16) * 16
        whole = np.zeros(position, np.float32)
        for (_, place), part in zip(places.items(), parts, strict=True):
            whole[place : place + part.size] = part
        return whole, places

    def text(self, weight_places: Mapping[str, int]) -> str:
        """The program in LLVM's text form, for packed weights that begin at these places, in floats."""
        return program_text(self, weight_places)


def build(
    lowered: Lowered,
    target: Target,
    *,
    winograd: bool = True,
    choose: Choose = guesses,
    fixed: Mapping[str, Schedule] | None = None,
) -> Program:
    """Choose kernels, lay out values and write the code of every step.

    winograd  False for convolutions as they are written only
    choose    ranks the schedules of a convolution, when the maps it reads and makes have no room around them yet
    fixed     schedules that are decided already, by the value the convolution makes
    """
    maps = {name: Map(*shape, block=_block(name, lowered, target)) for name, shape in lowered.shapes.items()}
    convolutions = [op for op in lowered.operations if isinstance(op, Convolution)]
    # the most work first: who chooses by measuring may run out of time
    convolutions.sort(key=lambda op: -_products(op, lowered.shapes))
    options = {op.y: choose(op, maps[op.x], maps[op.y], target, winograd=winograd) for op in convolutions}
    chosen = {name: ranked.schedule for name, ranked in within(options, _room(lowered)).items()} | dict(fixed or {})
    maps = _with_halos(lowered, maps, chosen)
    steps: list[Step] = []
    made: dict[str, int] = {}
    weights: dict[str, Callable[[], Floats]] = {}
    for number, name in enumerate(lowered.inputs):
        if name in lowered.integers:
            continue
        steps += _clear(name, maps, target, f"clear_input{number}")
        phases = emit_pack(f"pack{number}", name, lowered.found[name], maps[name], target)
        steps.append(Step((), "pack", tuple(phases)))
    for number, op in enumerate(lowered.operations):
        steps += _clear(op.y, maps, target, f"clear{number}")
        step = _step(op, f"step{number}", maps, chosen.get(op.y), target)
        if isinstance(op, Convolution):
            done = arithmetic(chosen[op.y], op, maps[op.x], maps[op.y], target)
            step = replace(step, others=tuple(options[op.y]), arithmetic=done, value=op.y)
        made[op.y] = len(steps)
        steps.append(step)
        weights |= _weights(op, maps, chosen.get(op.y), lowered)
    for number, name in enumerate(lowered.outputs):
        view = lowered.found[name]
        steps.append(Step((), "unpack", tuple(emit_unpack(f"unpack{number}", view, name, maps[view.held], target))))
    for name, numbers in lowered.fixed.items():
        weights[f"{name}.map"] = partial(_held, numbers, maps[name])
    over = {op.y: (old, made[op.y]) for op in lowered.operations if (old := _overwritten(op))}
    held = {name: one for name, one in maps.items() if name not in lowered.fixed}
    placed, arena = _placed(steps, held, over, target)
    places = {name: place for name, place in placed.items() if isinstance(name, str)}
    return Program(
        target,
        tuple(replace(step, scratch=placed.get(number, 0)) for number, step in enumerate(steps)),
        maps,
        places,
        arena,
        weights,
        tuple(lowered.inputs),
        tuple(lowered.outputs),
        dict(lowered.dims),
        dict(lowered.integers),
        tuple(Selection(op.indices, op.rows) for op in lowered.operations if isinstance(op, Embedding)),
    )


def _room(lowered: Lowered) -> float:
    """Floats that the weights of all convolutions may take together."""
    sizes = {name: math.prod(tensor.shape) for name, tensor in lowered.constants.items()}
    own = {name for op in lowered.operations if isinstance(op, Convolution) for name in (op.weight, op.bias) if name}
    others = sum(size for name, size in sizes.items() if name not in own)
    return float(MOST_WEIGHTS * sum(sizes.values()) - _FILLED * others)


def _block(name: str, lowered: Lowered, target: Target) -> int:
    """Channels that lie side by side: a vector; in images that only convolutions read, as many as there are."""
    channels = lowered.shapes[name][1]
    if name not in lowered.inputs or channels >= target.lanes or channels > _FEW_CHANNELS:
        return target.lanes
    as_map = all(
        isinstance(op, Convolution) and op.groups == 1 and name != op.residual
        for op in lowered.operations
        if name in op.reads
    )
    given = any(lowered.found[output].held == name for output in lowered.outputs)
    return channels if as_map and not given else target.lanes


def _products(op: Convolution, shapes: Mapping[str, Shape]) -> int:
    """Multiplications of a convolution as it is written."""
    return math.prod((*shapes[op.y], shapes[op.x][1] // op.groups, *op.kernel))


def _with_halos(lowered: Lowered, maps: Mapping[str, Map], chosen: Mapping[str, Schedule]) -> dict[str, Map]:
    """Maps with the room that those who read them need around them."""
    wanted: dict[str, Halo] = {name: m.halo for name, m in maps.items()}
    for op in lowered.operations:
        if isinstance(op, Convolution):
            halo = chosen[op.y].halo(op, maps[op.x], maps[op.y])
        else:
            halo = kernel_of(op).halo(op, maps)
        if op.x not in wanted:
            continue  # the array of an input
        old = wanted[op.x]
        wanted[op.x] = (max(old[0], halo[0]), max(old[1], halo[1]), max(old[2], halo[2]), max(old[3], halo[3]))
    return {name: m.with_halo(wanted[name]) for name, m in maps.items()}


def _clear(name: str, maps: Mapping[str, Map], target: Target, function: str) -> list[Step]:
    if not any(maps[name].halo):
        return []
    return [Step((), CLEAR, tuple(emit_clear(function, name, maps[name], target)))]


def _step(op: Operation, name: str, maps: Mapping[str, Map], schedule: Schedule | None, target: Target) -> Step:
    if isinstance(op, Convolution) and schedule is not None:
        residual = maps[op.residual] if op.residual else None
        phases = schedule.emit(name, op, maps[op.x], maps[op.y], residual, target)
        return Step(op.nodes, type(schedule).__name__.lower(), tuple(phases), schedule)
    kernel = kernel_of(op)
    return Step(op.nodes, kernel.says(op), tuple(kernel.emit(name, op, maps, target)))


def _weights(
    op: Operation, maps: Mapping[str, Map], schedule: Schedule | None, lowered: Lowered
) -> dict[str, Callable[[], Floats]]:
    """What an operation's kernel reads, by name; all of it is made together when the first is asked for."""

    def numbers(name: str) -> Floats:
        return np.asarray(lowered.constants[name].numpy())

    if isinstance(op, Convolution):
        parts: tuple[str, ...] = ("weight", "bias")

        def make() -> dict[str, Floats]:
            assert schedule is not None
            bias = numbers(op.bias).reshape(-1) if op.bias else None
            return schedule.weights(op, numbers(op.weight), bias, maps[op.x], maps[op.y])

    else:
        kernel = kernel_of(op)
        parts = kernel.parts(op)

        def make() -> dict[str, Floats]:
            return kernel.weights(op, numbers, maps)

    made: dict[str, Floats] = {}

    def part(what: str) -> Floats:
        if not made:
            made.update(make())
        return made.pop(what)

    # a table that several nodes select from is kept once
    owner = op.table if isinstance(op, Embedding) else op.y
    return {f"{owner}.{what}": partial(part, what) for what in parts}


def _held(numbers: Floats, one: Map) -> Floats:
    """A value that is known ahead, as it lies in its map."""
    images, channels, height, width = numbers.shape
    blocks = np.zeros((images, one.blocks * one.block, height, width), np.float32)
    blocks[:, :channels] = numbers
    by_block = blocks.reshape(images, one.blocks, one.block, height, width).transpose(0, 1, 3, 4, 2)
    top, left, below, right = one.halo
    return np.ascontiguousarray(np.pad(by_block, ((0, 0), (0, 0), (top, below), (left, right), (0, 0)))).reshape(-1)


def _overwritten(op: Operation) -> str:
    """The value whose place the result may take, each number where one was read that nothing else is made of."""
    if isinstance(op, Convolution):
        return op.residual if op.residual != op.x else ""
    return op.x if isinstance(op, Pointwise) else ""


def _placed(
    steps: Sequence[Step], maps: Mapping[str, Map], over: Mapping[str, tuple[str, int]], target: Target
) -> tuple[dict[str | int, int], int]:
    """Places of values, and of the scratch memory of steps by their number.

    over  by value another whose place it takes if that is never read after a step
    """
    used: dict[str | int, tuple[int, int]] = {}
    sizes: dict[str | int, int] = {}
    for number, step in enumerate(steps):
        if scratch := step.scratch_bytes(target.threads):
            used[number], sizes[number] = (number, number), scratch
        for phase in step.phases:
            for operand in phase.operands:
                if operand.kind == "value" and operand.name in maps:
                    used[operand.name] = (used.get(operand.name, (number, number))[0], number)
                    sizes[operand.name] = 4 * maps[operand.name].size
    owner: dict[str, str] = {}
    for name, (old, number) in over.items():
        first = owner.get(old, old)
        if old in maps and maps[name] == maps[old] and used[first][1] == number:
            owner[name] = first
            used[first] = (used[first][0], used.pop(name)[1])
            del sizes[name]
    places, size = place_values(sizes, used)
    return places | {name: places[first] for name, first in owner.items()}, size
