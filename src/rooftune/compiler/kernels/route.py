"""Channels of several maps in a new order: what Concat, Split, Slice and channel shuffles come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Route
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]

Lane = tuple[int, int, int]
"""Which source, which of its blocks, which channel of that."""


def _emit(name: str, op: Route, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job; every block is put together in a way of its own."""
    sources, y = [maps[s] for s in op.sources], maps[op.y]
    code, at = begin(name, [*(f"x{i}" for i in range(len(sources))), "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        for number in range(y.blocks):
            lanes = [
                (which, *divmod(channel, sources[which].block))
                for which, channel in op.plan[number * y.block : (number + 1) * y.block]
            ]
            with code.when("eq", block, number):
                starts = {
                    (which, part): code.at(
                        at[f"x{which}"],
                        image * sources[which].image
                        + part * sources[which].plane
                        + row * sources[which].row
                        + sources[which].origin,
                    )
                    for which, part, _ in dict.fromkeys(lanes)
                }
                into = code.at(at["y"], image * y.image + number * y.plane + row * y.row + y.origin)
                with code.loop(0, y.width) as column:
                    parts = {key: code.load(start, column * y.block) for key, start in starts.items()}
                    code.store(_gathered(code, parts, lanes), into, column * y.block)
    return [Phase(code, (*map(Operand.value, op.sources), Operand.value(op.y)))]


def _gathered(code: Function, parts: dict[tuple[int, int], Value], lanes: Sequence[Lane]) -> Value:
    """One vector with a channel of some vector in every lane: a shuffle per vector, none where one is taken whole."""
    width = code.lanes
    made: Value | None = None
    for key, vector in parts.items():
        places = {i: lane for i, (which, part, lane) in enumerate(lanes) if (which, part) == key}
        if made is None and all(lane == i for i, lane in places.items()):
            made = vector
            continue
        first = made if made is not None else vector
        mask = [width + places[i] if i in places else i for i in range(width)]
        text = ", ".join(f"i32 {m}" for m in mask)
        made = code.emit(
            code.vector,
            f"shufflevector {code.vector} {first.name}, {code.vector} {vector.name}, <{width} x i32> <{text}>",
        )
    assert made is not None
    return made


KERNELS = (Kernel(Route, lambda op: "route", _emit),)
