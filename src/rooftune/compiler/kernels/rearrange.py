"""Elements moved to other places of a map: for transposes and reshapes that somebody reads as a map of their own."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.compiler.emit.element import moved, offset
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Rearrange, Stack
from rooftune.compiler.target import Target
from rooftune.compiler.views import CHANNEL

__all__ = ["KERNELS"]


def _emit(name: str, op: Rearrange, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job; vectors are moved where channels stay side by side."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        point = moved(moved(op.start, image, op.pieces[0]), row, op.pieces[2])
        with code.loop(0, y.width) as column:
            there = moved(point, column, op.pieces[3])
            pixel = code.at(into, column * y.block)
            if _whole_vectors(op, x, y):
                value = code.load(at["x"], offset(x, moved(there, block * y.block, op.pieces[1])))
                code.store(_scaled(code, value, op.scale), pixel)
            else:
                count = code.least(y.block, y.channels - block * y.block)
                with code.loop(0, count) as lane:
                    channel = block * y.block + lane
                    one = code.load(at["x"], offset(x, moved(there, channel, op.pieces[1])), "float")
                    code.store(_scaled(code, one, op.scale), pixel, lane)
    return [Phase(code, (Operand.value(op.x), Operand.value(op.y)))]


def _scaled(code: Function, value: Value, scale: float) -> Value:
    return value if scale == 1.0 else code.arithmetic("fmul", value, scale)


def _whole_vectors(op: Rearrange, x: Map, y: Map) -> bool:
    """True where every block of the result is a block of the input."""
    factors = op.pieces[1]
    steps = [f.step for dim in (0, 2, 3) for f in op.pieces[dim] if f.axis == CHANNEL]
    outer = [f for f in factors[:-1] if f.size > 1]
    inner = factors[-1] if factors else None
    return (
        x.block == y.block
        and (inner is None or (inner.axis == CHANNEL and inner.step == 1))
        and (not outer or (inner is not None and inner.size % y.block == 0))
        and all(step % x.block == 0 for step in (*steps, *(f.step for f in outer if f.axis == CHANNEL), op.start[1]))
    )


def _emit_stack(name: str, op: Stack, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One block of channels is a job; pixels are whole vectors."""
    sources, y = [maps[s] for s in op.sources], maps[op.y]
    code, at = begin(name, [*(f"x{i}" for i in range(len(sources))), "y"], target)
    with jobs(code, y.images * y.blocks) as job:
        image, block = job // y.blocks, job % y.blocks
        into = code.at(at["y"], image * y.image + block * y.plane + y.origin)
        place = 0
        for number, x in enumerate(sources):
            source = code.at(at[f"x{number}"], image * x.image + block * x.plane + x.origin)
            with code.loop(0, x.height) as row, code.loop(0, x.width) as column:
                pixel: Index = row * x.width + column + place
                value = code.load(source, row * x.row + column * x.block)
                down: Index = pixel // y.width if y.height > 1 else 0
                code.store(value, into, down * y.row + (pixel % y.width if y.height > 1 else pixel) * y.block)
            place += x.height * x.width
    return [Phase(code, (*map(Operand.value, op.sources), Operand.value(op.y)))]


KERNELS = (
    Kernel(Rearrange, lambda op: "rearrange", _emit),
    Kernel(Stack, lambda op: "stack", _emit_stack),
)
