"""Local response normalisation: over the squares of neighbouring channels of the same pixel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rooftune.compiler.emit.across import shuffle
from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.mathematics import choose, compare, exponential, logarithm
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Floats, LocalResponse
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


def _blocks_around(op: LocalResponse, x: Map) -> tuple[int, int]:
    """How many blocks in front of a block and behind it neighbours may lie in."""
    return (-(-min(op.before, x.channels - 1) // x.block), -(-min(op.after, x.channels - 1) // x.block))


def _weights(op: LocalResponse, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    """Where there are channels: 1 for each, 0 for the filling behind and for blocks beyond both ends."""
    x = maps[op.x]
    before, after = _blocks_around(op, x)
    found = np.zeros((before + x.blocks + after) * x.block, np.float32)
    found[before * x.block : before * x.block + x.channels] = 1.0
    return {"present": found}


def _emit(name: str, op: LocalResponse, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job. Blocks beyond the ends are read as the outermost ones, and count
    nothing."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", "present", "y"], target)
    before, after = _blocks_around(op, x)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        rows = code.at(at["x"], image * x.image + row * x.row + x.origin)
        sources, counts = [], []
        for step in range(-before, after + 1):
            near = code.largest(code.least(block + step, x.blocks - 1), 0)
            sources.append(code.at(rows, near * x.plane))
            counts.append(compare(code, "une", code.load(at["present"], (block + (step + before)) * x.block), 0.0))
        with code.loop(0, y.width) as column:
            values = [code.load(source, column * x.block) for source in sources]
            squares = [_square(code, v, c) for v, c in zip(values, counts, strict=True)]
            total = _windows(code, squares, op, before)
            base = code.fma(total, op.factor, Value(code.text(op.bias, code.vector), code.vector, code))
            code.store(_divided(code, values[before], base, op.beta), into, column * y.block)
    return [Phase(code, (Operand.value(op.x), Operand.weights(op.y, "present"), Operand.value(op.y)))]


def _square(code: Function, value: Value, counts: Value) -> Value:
    """Squares of what counts; whatever fills up a block may be no number at all."""
    known = choose(code, counts, value, Value("zeroinitializer", value.kind, code))
    return code.arithmetic("fmul", known, known)


def _windows(code: Function, squares: list[Value], op: LocalResponse, before: int) -> Value:
    """For every lane of the block in the middle the sum of what lies around it, in this block and in others."""
    total: Value | None = None
    first = before * code.lanes - min(op.before, before * code.lanes)
    last = before * code.lanes + min(op.after, (len(squares) - 1 - before) * code.lanes)
    for place in range(first, last + 1):
        block, lane = divmod(place, code.lanes)
        one = squares[block]
        if lane:
            one = shuffle(code, one, squares[block + 1], range(lane, lane + code.lanes))
        total = one if total is None else code.arithmetic("fadd", total, one)
    assert total is not None
    return total


def _divided(code: Function, value: Value, base: Value, beta: float) -> Value:
    """A number over a power of another: with roots where these are enough."""
    if beta == 0.75:
        root = _root(code, base)
        return code.arithmetic("fdiv", value, code.arithmetic("fmul", root, _root(code, root)))
    if beta in (0.5, 1.0):
        return code.arithmetic("fdiv", value, base if beta == 1.0 else _root(code, base))
    power = exponential(code, code.arithmetic("fmul", logarithm(code, base), -beta))
    return code.arithmetic("fmul", value, power)


def _root(code: Function, x: Value) -> Value:
    return code.call(f"llvm.sqrt.v{code.lanes}f32", x.kind, (x, x.kind))


KERNELS = (Kernel(LocalResponse, lambda op: "local response norm", _emit, lambda op: ("present",), _weights),)
"""What runs a local response normalisation."""
