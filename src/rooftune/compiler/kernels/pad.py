"""Rows and columns of one number around every map."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.compiler.emit.function import Index
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Pad
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


def _emit(name: str, op: Pad, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job: it lies beside the map, or is a row of it between two margins."""
    x, y = maps[op.x], maps[op.y]
    top, left = op.pads
    code, at = begin(name, ["x", "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        plane, row = job // y.height, job % y.height
        into = code.at(at["y"], plane * y.plane + row * y.row + y.origin)
        filling = code.variable(code.vector, op.value).get()

        def fill(start: Index, end: Index) -> None:
            with code.loop(start, end) as column:
                code.store(filling, into, column * y.block)

        inside = code.variable("i64", 0)
        with code.when("sge", row, top), code.when("slt", row, top + x.height):
            inside.set(1)
            line = code.at(at["x"], plane * x.plane + (row - top) * x.row + x.origin)
            fill(0, left)
            with code.loop(0, x.width) as column:
                code.store(code.load(line, column * x.block), into, (column + left) * y.block)
            fill(left + x.width, y.width)
        with code.when("eq", inside.get(), 0):
            fill(0, y.width)
    return [Phase(code, (Operand.value(op.x), Operand.value(op.y)))]


KERNELS = (Kernel(Pad, lambda op: "pad", _emit),)
