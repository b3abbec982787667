"""Matrix products of two values, as attention has them: register tiles as in a convolution of one pixel."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.compiler.emit.element import Point, moved, offset, stride
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import SCRATCH, Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Product
from rooftune.compiler.target import Target
from rooftune.compiler.views import CHANNEL, View

__all__ = ["KERNELS"]

_VECTORS = 2
"""Vectors of results per row at once."""


def _emit(name: str, op: Product, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """Some columns of one product are a job; the second factor is turned into vectors first where it is not."""
    rows, columns = op.second.dims[-2:]
    turned = any(f.axis == CHANNEL for f in rows) or any(f.axis != CHANNEL for f in columns)
    depth, n = op.first.sizes[-1], op.out.sizes[-1]
    vectors = min(_VECTORS, -(-n // target.lanes))
    groups = -(-n // (target.lanes * vectors))
    batch = 1
    for size in op.out.sizes[:-2]:
        batch *= size
    code, at = begin(name, ["first", "second", "y", *(["scratch"] if turned else [])], target)
    work = _Tiles(code, op, maps, at, target, vectors)
    scratch = depth * vectors * target.lanes if turned else 0
    with jobs(code, batch * groups) as job:
        number, group = job // groups, job % groups
        if turned:
            own = code.at(at["scratch"], code.parameter("thread") * scratch)
            work.turn(number, group, own)
            work.emit(number, group, own)
        else:
            work.emit(number, group, None)
    operands = (Operand.value(op.first.held), Operand.value(op.second.held), Operand.value(op.y))
    return [Phase(code, (*operands, SCRATCH) if turned else operands, scratch=scratch)]


class _Tiles:
    """The products of one factor with some vectors of the other."""

    def __init__(
        self,
        code: Function,
        op: Product,
        maps: Mapping[str, Map],
        at: Mapping[str, Value],
        target: Target,
        vectors: int,
    ) -> None:
        self.code, self.op, self.at, self.lanes, self.vectors = code, op, at, target.lanes, vectors
        self.a, self.b, self.y = maps[op.first.held], maps[op.second.held], maps[op.y]
        self.m, self.depth = op.first.sizes[-2:]
        self.n = op.out.sizes[-1]
        most = max(1, (target.sums - 1) // vectors - (1 if vectors > 1 else 0))
        self.columns = -(-self.m // -(-self.m // most))

    def point(self, view: View, number: Index) -> Point:
        """Where the matrix of a number begins in a view."""
        point: Point = view.start
        sizes = self.op.out.sizes[:-2]
        rest = number
        for dim in range(len(sizes) - 1, -1, -1):
            part = rest % sizes[dim] if dim else rest
            rest = rest // sizes[dim]
            point = moved(point, part, view.dims[dim])
        return point

    def turn(self, number: Index, group: Index, own: Value) -> None:
        """The second factor, whose rows are channels, as vectors of neighbouring columns."""
        code, view, b = self.code, self.op.second, self.b
        width = self.vectors * self.lanes
        start = code.at(self.at["second"], offset(b, self.point(view, number)))
        step = stride(b, view.dims[-1][0]) if view.dims[-1] else 0
        count = code.least(width, self.n - group * width)
        source = code.at(start, group * (width * step))
        with code.loop(0, -(-self.depth // b.block)) as block:
            line = code.at(source, block * b.plane)
            rows = code.least(b.block, self.depth - block * b.block)
            with code.loop(0, rows) as lane:
                into = code.at(own, (block * b.block + lane) * width)
                with code.loop(0, count) as column:
                    one = code.load(line, column * step + lane, "float")
                    code.store(one, into, column)
                # nobody reads what the last ones come to, but it must not be slow to compute
                zero = code.variable("float", 0.0).get()
                with code.loop(count, width) as column:
                    code.store(zero, into, column)

    def emit(self, number: Index, group: Index, own: Value | None) -> None:
        """All rows of the first factor with one group of vectors."""
        code, first = self.code, self.op.first
        rows = code.at(self.at["first"], offset(self.a, self.point(first, number)))
        into = code.at(self.at["y"], offset(self.y, self.point(self.op.out, number)))
        into = code.at(into, group * (self.vectors * self.y.plane))
        if own is None:
            start = code.at(self.at["second"], offset(self.b, self.point(self.op.second, number)))
            taps, across = code.at(start, group * (self.vectors * self.b.plane)), self.b.plane
            down = stride(self.b, self.op.second.dims[-2][0]) if self.op.second.dims[-2] else 0
        else:
            taps, across, down = own, self.lanes, self.vectors * self.lanes
        whole = self.m // self.columns * self.columns
        with code.loop(0, whole, self.columns) as column:
            self.tile(rows, taps, across, down, into, column, self.columns, group)
        if self.m % self.columns:
            self.tile(rows, taps, across, down, into, whole, self.m % self.columns, group)

    def tile(
        self,
        rows: Value,
        taps: Value,
        across: int,
        down: int,
        into: Value,
        column: Index,
        columns: int,
        group: Index,
    ) -> None:
        """`columns` rows of the first factor by `vectors` vectors of the second, in registers."""
        code, a = self.code, self.a
        step = stride(a, self.op.first.dims[-2][0]) if self.op.first.dims[-2] else 0
        start = code.at(rows, column * step)
        sums = [[code.variable(code.vector, 0.0) for _ in range(self.vectors)] for _ in range(columns)]
        beyond = -(-self.n // self.lanes) % self.vectors != 0

        def block(number: Index, depth: int) -> None:
            plane = code.at(start, number * a.plane)
            for k in range(depth):
                line = code.at(taps, (number * a.block + k) * down)
                # the last group may have a vector fewer: it takes the one before twice
                parts = [code.load(line, self.part(v, group, beyond) * across) for v in range(self.vectors)]
                for c in range(columns):
                    value = code.broadcast(plane, c * step + k)
                    for v, part in enumerate(parts):
                        sums[c][v].set(code.fma(value, part, sums[c][v].get()))

        full, tail = divmod(self.depth, a.block)
        with code.loop(0, full) as number:
            block(number, a.block)
        if tail:
            block(full, tail)
        target = code.at(into, column * self.y.block)
        scale = self.op.first.scale * self.op.second.scale
        for v in range(self.vectors):
            for c in range(columns):
                value = sums[c][v].get()
                value = value if scale == 1.0 else code.arithmetic("fmul", value, scale)
                code.store(value, target, self.part(v, group, beyond) * self.y.plane + c * self.y.block)

    def part(self, v: int, group: Index, beyond: bool) -> Index:
        """Which vector of its group the v-th is."""
        if not beyond or v == 0:
            return v
        last = -(-self.n // self.lanes) - 1
        return self.code.least(v, last - group * self.vectors)


KERNELS = (Kernel(Product, lambda op: "product", _emit),)
