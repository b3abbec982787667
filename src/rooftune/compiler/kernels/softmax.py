"""Softmax over the channels of every pixel, or its logarithm: three passes over what stays in the nearest cache."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rooftune.compiler.emit.across import kept, lane, totals
from rooftune.compiler.emit.function import Index, Value
from rooftune.compiler.emit.mathematics import exp2, logarithm
from rooftune.compiler.emit.pixels import each_block, tiles
from rooftune.compiler.emit.work import SCRATCH, Operand, Phase, begin
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Softmax
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]

_LOG2_E = math.log2(math.e)


def _emit(name: str, op: Softmax, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """A few pixels are a job. The largest number is taken off first, so that no power is too large; powers (for the
    logarithm, their exponents) wait beside until the sum of powers is known."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", "y", "scratch"], target)
    pixels = tiles(x, y, target)
    each = pixels.count * x.block
    room = x.blocks * each
    places = range(pixels.count)
    # the largest after multiplication by the scale is the smallest before, where that is negative
    which, least = ("max", -math.inf) if op.scale >= 0 else ("min", math.inf)

    def largest(a: Value, b: Value) -> Value:
        return code.extreme(which, a, b)

    def total(a: Value, b: Value) -> Value:
        return code.arithmetic("fadd", a, b)

    with pixels.jobs(code, x, y) as (read, written):
        source, into = code.at(at["x"], read), code.at(at["y"], written)
        beside = code.at(at["scratch"], code.parameter("thread") * room)
        best = [code.variable(code.vector, least) for _ in places]

        def compare(block: Index, channels: int) -> None:
            line = code.at(source, block * x.plane)
            for p in places:
                best[p].set(largest(best[p].get(), kept(code, code.load(line, p * pixels.x[1]), channels, least)))

        each_block(code, x, compare)
        tops = totals(code, [b.get() for b in best], largest)
        top = [lane(code, tops, p) for p in places]
        sums = [code.variable(code.vector, 0.0) for _ in places]

        def raise_all(block: Index, channels: int) -> None:
            line, held = code.at(source, block * x.plane), code.at(beside, block * each)
            for p in places:
                below = code.arithmetic("fsub", code.load(line, p * pixels.x[1]), top[p])
                power = exp2(code, code.arithmetic("fmul", below, op.scale * _LOG2_E))
                code.store(code.arithmetic("fmul", below, op.scale) if op.logarithm else power, held, p * x.block)
                sums[p].set(total(sums[p].get(), kept(code, power, channels, 0.0)))

        each_block(code, x, raise_all)
        whole = totals(code, [s.get() for s in sums], total)
        wholes = logarithm(code, whole) if op.logarithm else code.arithmetic("fdiv", 1.0, whole)
        last = [lane(code, wholes, p) for p in places]

        def finish(block: Index, channels: int) -> None:
            held, result = code.at(beside, block * each), code.at(into, block * y.plane)
            for p in places:
                found = code.arithmetic("fsub" if op.logarithm else "fmul", code.load(held, p * x.block), last[p])
                code.store(found, result, p * pixels.y[1])

        each_block(code, x, finish)
    return [Phase(code, (Operand.value(op.x), Operand.value(op.y), SCRATCH), scratch=room)]


KERNELS = (Kernel(Softmax, lambda op: "log softmax" if op.logarithm else "softmax", _emit),)
"""What runs a softmax."""
