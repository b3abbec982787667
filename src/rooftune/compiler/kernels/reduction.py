"""Sums, extremes, products and norms: over all pixels of a channel, or over the channels of every pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rooftune.compiler.emit.across import Combine, kept, lane, totals
from rooftune.compiler.emit.chunks import SUMS, Chunks, chunks
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.mathematics import choose, compare, exp2, logarithm, magnitude
from rooftune.compiler.emit.pixels import each_block, tiles
from rooftune.compiler.emit.work import SCRATCH, Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Reduction
from rooftune.compiler.target import Target

__all__ = ["KERNELS", "KINDS"]

_LARGEST = float(np.finfo(np.float32).max)
_LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class _Kind:
    """How numbers are put together: `take` what is done to each, `start` what changes nothing, `finish` from the
    whole and how many they were."""

    start: float
    combine: Callable[[Function, Value, Value], Value]
    take: Callable[[Function, Value], Value] = lambda code, x: x
    finish: Callable[[Function, Value, int], Value] = lambda code, x, count: x

    def of(self, code: Function) -> Combine:
        return lambda a, b: self.combine(code, a, b)


def _add(code: Function, a: Value, b: Value) -> Value:
    return code.arithmetic("fadd", a, b)


def _multiply(code: Function, a: Value, b: Value) -> Value:
    return code.arithmetic("fmul", a, b)


def _square(code: Function, x: Value) -> Value:
    return code.arithmetic("fmul", x, x)


def _larger(code: Function, a: Value, b: Value) -> Value:
    return choose(code, compare(code, "uno", b, b), b, code.extreme("max", a, b))


def _smaller(code: Function, a: Value, b: Value) -> Value:
    return choose(code, compare(code, "uno", b, b), b, code.extreme("min", a, b))


def _root(code: Function, x: Value, count: int) -> Value:
    return code.call(f"llvm.sqrt.v{code.lanes}f32", x.kind, (x, x.kind))


_KINDS: Mapping[str, _Kind] = {
    "l1": _Kind(0.0, _add, magnitude),
    "l2": _Kind(0.0, _add, _square, _root),
    "max": _Kind(-math.inf, _larger),
    "mean": _Kind(0.0, _add, finish=lambda code, x, count: code.arithmetic("fmul", x, 1 / count)),
    "min": _Kind(math.inf, _smaller),
    "prod": _Kind(1.0, _multiply),
    "sum": _Kind(0.0, _add),
    "sumsquare": _Kind(0.0, _add, _square),
}

KINDS = frozenset({*_KINDS, "logsumexp"})
"""Kinds there is code for."""


def _emit(name: str, op: Reduction, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    x, y = maps[op.x], maps[op.y]
    if op.over == "channels":
        return [_channels(name, op, x, y, target)]
    return _pixels(name, op, x, y, target)


def _channels(name: str, op: Reduction, x: Map, y: Map, target: Target) -> Phase:
    """A few pixels are a job."""
    code, at = begin(name, ["x", "y"], target)
    tile = tiles(x, y, target)
    with tile.jobs(code, x, y) as (read, written):
        source, into = code.at(at["x"], read), code.at(at["y"], written)

        def reduced(kind: _Kind, shifts: Sequence[Value] | None = None) -> Value:
            """What the lanes of all pixels come to, a pixel in every lane."""
            parts = [code.variable(code.vector, kind.start) for _ in range(tile.count)]

            def body(block: Index, channels: int) -> None:
                line = code.at(source, block * x.plane)
                for p, part in enumerate(parts):
                    value = code.load(line, p * tile.x[1])
                    if shifts is not None:
                        value = code.arithmetic("fsub", value, shifts[p])
                    taken = kept(code, kind.take(code, value), channels, kind.start)
                    part.set(kind.combine(code, part.get(), taken))

            each_block(code, x, body)
            return totals(code, [part.get() for part in parts], kind.of(code))

        if op.kind == "logsumexp":
            most = reduced(_KINDS["max"])
            shift = _finite(code, most)
            found = _logarithm(code, reduced(_POWERS, [lane(code, shift, p) for p in range(tile.count)]), most)
        else:
            found = _KINDS[op.kind].finish(code, reduced(_KINDS[op.kind]), x.channels)
        for p in range(tile.count):
            one = code.emit("float", f"extractelement {found.kind} {found.name}, i64 {p}")
            code.store(one, into, p * tile.y[1])
    return Phase(code, (Operand.value(op.x), Operand.value(op.y)))


def _power(code: Function, x: Value) -> Value:
    return exp2(code, code.arithmetic("fmul", x, _LOG2_E))


_POWERS = _Kind(0.0, _add, _power)


def _finite(code: Function, most: Value) -> Value:
    """What is taken off all numbers before e is raised to their power: the largest, where it is no infinity."""
    return code.extreme("min", code.extreme("max", most, -_LARGEST), _LARGEST)


def _logarithm(code: Function, powers: Value, most: Value) -> Value:
    """The logarithm of the sum of all powers, from what is left of them without the largest number."""
    found = code.arithmetic("fadd", logarithm(code, powers), _finite(code, most))
    return choose(code, compare(code, "oeq", most, math.inf), most, found)


def _pixels(name: str, op: Reduction, x: Map, y: Map, target: Target) -> list[Phase]:
    """A chunk of a block of channels is a job; where there are several chunks, they are joined in a second phase."""
    parts = chunks((x,), target)
    width = 2 * x.block  # what there is of a chunk: one vector, or the largest number and a sum
    alone = parts.count == 1
    code, at = begin(name, ["x", "y" if alone else "shared"], target)
    with jobs(code, x.images * x.blocks * parts.count) as job:
        plane, chunk = job // parts.count, job % parts.count
        source = code.at(at["x"], plane * x.plane + parts.start(x, chunk))
        found, most = _chunk(code, op, x, source, parts)
        if alone:
            image, block = plane // x.blocks, plane % x.blocks
            done = _finished(code, op, found, most, x)
            code.store(done, at["y"], image * y.image + block * y.plane + y.origin)
        else:
            code.store(found, at["shared"], job * width)
            if most is not None:
                code.store(most, at["shared"], job * width + x.block)
    shared = 0 if alone else x.images * x.blocks * parts.count * width
    first = Phase(code, (Operand.value(op.x), Operand.value(op.y) if alone else SCRATCH), shared=shared)
    return [first] if alone else [first, _join(name, op, x, y, parts, width, target)]


def _chunk(code: Function, op: Reduction, x: Map, source: Value, parts: Chunks) -> tuple[Value, Value | None]:
    """What a chunk comes to by channel; and the largest number, where it was taken off before."""

    def reduced(kind: _Kind, shift: Value | None = None) -> Value:
        found = [code.variable(code.vector, kind.start) for _ in range(SUMS)]

        def body(line: Index, pixel: Index, which: int) -> None:
            value = code.load(source, line * x.row + pixel * x.block)
            if shift is not None:
                value = code.arithmetic("fsub", value, shift)
            found[which].set(kind.combine(code, found[which].get(), kind.take(code, value)))

        parts.over(code, body)
        first, second = (kind.combine(code, found[i].get(), found[i + 1].get()) for i in (0, 2))
        return kind.combine(code, first, second)

    if op.kind != "logsumexp":
        return reduced(_KINDS[op.kind]), None
    most = reduced(_KINDS["max"])
    return reduced(_POWERS, _finite(code, most)), most


def _join(name: str, op: Reduction, x: Map, y: Map, parts: Chunks, width: int, target: Target) -> Phase:
    """The chunks of every block of channels."""
    code, at = begin(f"{name}_join", ["shared", "y"], target)
    with jobs(code, x.images * x.blocks) as job:
        image, block = job // x.blocks, job % x.blocks
        first = code.at(at["shared"], job * (parts.count * width))

        def reduced(kind: _Kind, part_of: Callable[[Value], Value]) -> Value:
            found = code.variable(code.vector, kind.start)
            with code.loop(0, parts.count) as part:
                found.set(kind.combine(code, found.get(), part_of(code.at(first, part * width))))
            return found.get()

        most = None
        if op.kind == "logsumexp":
            most = reduced(_KINDS["max"], lambda part: code.load(part, x.block))
            shift = _finite(code, most)

            def moved(part: Value) -> Value:
                off = code.arithmetic("fsub", _finite(code, code.load(part, x.block)), shift)
                return code.arithmetic("fmul", code.load(part), _power(code, off))

            found = reduced(_POWERS, moved)
        else:
            found = reduced(_KINDS[op.kind], code.load)
        done = _finished(code, op, found, most, x)
        code.store(done, at["y"], image * y.image + block * y.plane + y.origin)
    return Phase(code, (SCRATCH, Operand.value(op.y)))


def _finished(code: Function, op: Reduction, found: Value, most: Value | None, x: Map) -> Value:
    if most is not None:
        return _logarithm(code, found, most)
    return _KINDS[op.kind].finish(code, found, x.height * x.width)


KERNELS = (Kernel(Reduction, lambda op: f"{op.kind} over {op.over}", _emit),)
"""What runs a reduction."""
