"""Where a program begins and ends: arrays by rows become maps, maps become arrays, and halos are made zero."""

from __future__ import annotations

import math

from rooftune.compiler.emit.element import moved, offset, stride
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.maps import Map
from rooftune.compiler.target import Target
from rooftune.compiler.views import CHANNEL, COLUMN, Factor, View

__all__ = ["CLEAR", "emit_clear", "emit_pack", "emit_unpack"]

CLEAR = "clear"
"""The kernel that makes halos zero."""


def emit_pack(name: str, source: str, view: View, y: Map, target: Target) -> list[Phase]:
    """An input as a map; one row of one block of channels is a job."""
    code, at = begin(name, ["x", "y"], target)
    images, channels, rows, columns = _steps(view)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        read = code.at(at["x"], image * images + block * (y.block * channels) + row * rows)
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        count = code.least(y.block, y.channels - block * y.block)
        _transpose(code, read, into, y, count, channels, columns)
    return [Phase(code, (Operand("input", source), Operand.value(view.held)))]


def _steps(view: View) -> tuple[int, int, int, int]:
    """Numbers in the given array from one image, channel, row or column to the next."""
    steps, inner = [0, 0, 0, 0], 1
    for dim in reversed(view.dims):
        for factor in reversed(dim):
            if factor.step == 1:
                steps[factor.axis] = inner
            inner *= factor.size
    return steps[0], steps[1], steps[2], steps[3]


def _transpose(code: Function, read: Value, into: Value, y: Map, channels: Index, pixels: int, step: int) -> None:
    """Neighbouring pixels of several channels become neighbouring channels of several pixels."""
    lanes = code.lanes
    whole = y.width // lanes * lanes if y.block == y.channels <= 4 and step == 1 else 0
    if whole:
        with code.loop(0, whole, lanes) as column:
            vectors = [code.load(read, column + channel * pixels) for channel in range(y.channels)]
            for n, vector in enumerate(interleave(code, vectors)):
                code.store(vector, into, column * y.channels + n * lanes)
    with code.loop(whole, y.width) as column, code.loop(0, channels) as channel:
        one = code.load(read, channel * pixels + column * step, "float")
        code.store(one, into, column * y.block + channel)


def interleave(code: Function, vectors: list[Value]) -> list[Value]:
    """The first elements of all vectors, then the second ones, and so on, in as many vectors."""
    lanes, count = code.lanes, len(vectors)
    found = []
    for n in range(count):
        wanted = [divmod(n * lanes + i, count) for i in range(lanes)]  # place in the vector, and which
        made = vectors[0]
        for v in range(count):
            mask = [lanes + place if which == v else i for i, (place, which) in enumerate(wanted)]
            if v == 0:
                mask = [place if which == 0 else 0 for place, which in wanted]
            text = ", ".join(f"i32 {m}" for m in mask)
            other = vectors[0] if v == 0 else vectors[v]
            made = code.emit(
                code.vector,
                f"shufflevector {code.vector} {made.name}, {code.vector} {other.name}, <{lanes} x i32> <{text}>",
            )
        found.append(made)
    return found


def emit_unpack(name: str, view: View, result: str, x: Map, target: Target) -> list[Phase]:
    """A view of a map as an output by rows; one run of its last dimension is a job."""
    code, at = begin(name, ["x", "y"], target)
    factors = [f for dim in view.dims for f in dim]
    last = factors.pop() if factors else Factor(1, COLUMN, 1)
    with jobs(code, math.prod(f.size for f in factors)) as job:
        point = moved(view.start, job, factors)
        into = code.at(at["y"], job * last.size)
        if last.axis == CHANNEL:
            with code.loop(0, last.size) as i:
                code.store(code.load(at["x"], offset(x, moved(point, i, [last])), "float"), into, i)
        else:
            read = code.at(at["x"], offset(x, point))
            with code.loop(0, last.size) as i:
                code.store(code.load(read, i * stride(x, last), "float"), into, i)
    return [Phase(code, (Operand.value(view.held), Operand("output", result)))]


def emit_clear(name: str, held: str, x: Map, target: Target) -> list[Phase]:
    """Zeros around a map, before its pixels are written."""
    code, at = begin(name, ["x"], target)
    top, left, _, right = x.halo
    kind = f"<{x.block} x float>"
    with jobs(code, x.images * x.blocks) as job:
        plane = code.at(at["x"], job * x.plane)
        zero = code.variable(kind, 0.0).get()

        def run(start: Index, end: Index) -> None:
            with code.loop(start, end, x.block) as place:
                code.store(zero, plane, place)

        run(0, top * x.row + left * x.block)
        with code.loop(0, x.height - 1) as row:
            behind = (row + top) * x.row + (left + x.width) * x.block
            run(behind, behind + (right + left) * x.block)
        run((top + x.height - 1) * x.row + (left + x.width) * x.block, x.plane)
    return [Phase(code, (Operand.value(held),))]
