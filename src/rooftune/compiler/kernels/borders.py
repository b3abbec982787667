"""Where a program begins and ends: arrays by rows become maps, maps become arrays, and halos are made zero."""

from __future__ import annotations

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.maps import Map
from rooftune.compiler.target import Target

__all__ = ["emit_clear", "emit_pack", "emit_unpack"]


def emit_pack(name: str, source: str, held: str, y: Map, target: Target) -> list[Phase]:
    """An input of shape [image, channel, row, column] as a map; one row of one block of channels is a job."""
    code, at = begin(name, ["x", "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        pixels = y.height * y.width
        read = code.at(at["x"], (image * y.channels + block * y.block) * pixels + row * y.width)
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        count = code.least(y.block, y.channels - block * y.block)
        _transpose(code, read, into, y, count, pixels)
    return [Phase(code, (Operand("input", source), Operand.value(held)))]


def _transpose(code: Function, read: Value, into: Value, y: Map, channels: Index, pixels: int) -> None:
    """Neighbouring pixels of several channels become neighbouring channels of several pixels."""
    lanes = code.lanes
    whole = y.width // lanes * lanes if y.block == y.channels <= 4 else 0
    if whole:
        with code.loop(0, whole, lanes) as column:
            vectors = [code.load(read, column + channel * pixels) for channel in range(y.channels)]
            for n, vector in enumerate(interleave(code, vectors)):
                code.store(vector, into, column * y.channels + n * lanes)
    with code.loop(whole, y.width) as column, code.loop(0, channels) as channel:
        one = code.load(read, channel * pixels + column, "float")
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


def emit_unpack(name: str, held: str, result: str, x: Map, target: Target) -> list[Phase]:
    """A map as an output of shape [image, channel, row, column]."""
    code, at = begin(name, ["x", "y"], target)
    pixels = x.height * x.width
    with jobs(code, x.images * x.channels) as job:
        image, channel = job // x.channels, job % x.channels
        read = code.at(at["x"], image * x.image + channel // x.block * x.plane + channel % x.block + x.origin)
        into = code.at(at["y"], job * pixels)
        with code.loop(0, x.height) as row, code.loop(0, x.width) as column:
            one = code.load(read, row * x.row + column * x.block, "float")
            code.store(one, into, row * x.width + column)
    return [Phase(code, (Operand.value(held), Operand("output", result)))]


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
