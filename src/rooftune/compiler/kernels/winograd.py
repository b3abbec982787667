"""Winograd's convolution for 3×3 kernels with stride 1: fewer multiplications, by transforms of tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.linear import multiply
from rooftune.compiler.emit.work import SCRATCH, Operand, Phase, begin, jobs
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Convolution, Floats
from rooftune.compiler.target import Target
from rooftune.verdicts import Refusal

__all__ = ["POINTS", "Winograd", "matrices"]

POINTS = {
    2: (0.0, 1.0, -1.0),
    4: (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0)),
    6: (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0),
}
"""Where the polynomials are evaluated, by the tile of the result; infinity comes besides. ±√½, ±√2 halve the error
that 0, ±1, ±2 have."""


_FEW_TILES = 64
"""Tiles that all fit into the last cache at once, whatever the channels."""


@lru_cache(maxsize=8)
def matrices(tile: int) -> tuple[Floats, Floats, Floats]:
    """Output, weight and input transform of F(tile, 3): y = A·((G·g) ⊙ (B·d)) (Winograd 1980; Toom and Cook)."""
    points, size = POINTS[tile], tile + 2
    out, weight, data = np.zeros((tile, size)), np.zeros((size, 3)), np.zeros((size, size))
    for j, point in enumerate(points):
        others = [p for i, p in enumerate(points) if i != j]
        scale = math.prod(point - p for p in others)
        out[:, j] = [point**i for i in range(tile)]
        weight[j] = [point**i / scale for i in range(3)]
        data[j, : size - 1] = np.poly(others)[::-1]
    out[-1, -1] = weight[-1, -1] = 1.0
    data[-1] = np.poly(points)[::-1]
    return out, weight, data


@dataclass(frozen=True)
class Winograd:
    """F(`tile`×`tile`, 3×3) on `batch` tiles at a time; products in register tiles of `columns` by `vectors`.

    A thread transforms a batch, multiplies it with all weights and transforms the products back, all within its own
    second-level cache. Where there are few tiles the threads do each of the three `together` for all of them, and
    each weight is read once.
    """

    tile: int
    batch: int
    columns: int
    vectors: int
    together: bool = False

    @staticmethod
    def takes(op: Convolution) -> Refusal | None:
        """Why this kernel cannot run the convolution; None where it can."""
        fits = op.kernel == (3, 3) and op.strides == (1, 1) and op.dilations == (1, 1) and op.groups == 1
        return None if fits else Refusal("Winograd's is for 3×3 kernels with stride 1", op.nodes[0])

    @staticmethod
    def space(op: Convolution, x: Map, y: Map, target: Target) -> Iterator[Winograd]:
        """For every tile size, register tiles and as many tiles at a time as half of the second-level cache holds."""
        for tile in POINTS:
            count = -(-y.height // tile) * -(-y.width // tile) * y.images
            held = target.l2 // 2 // (4 * (tile + 2) ** 2 * (x.blocks + y.blocks) * y.block)
            for vectors in (1, 2, 4):
                if vectors > y.blocks or y.blocks % vectors:
                    continue
                columns = max(1, min((target.sums - 1) // vectors, count))
                batch = max(columns, min(held, count) // columns * columns)
                yield Winograd(tile, batch, columns, vectors)
                if count <= _FEW_TILES:
                    yield Winograd(tile, -(-count // columns) * columns, columns, vectors, together=True)

    @staticmethod
    def tiles(size: int, tile: int) -> int:
        return -(-size // tile)

    def halo(self, op: Convolution, x: Map, y: Map) -> Halo:
        """Zeros the input needs: the pads, and what the last tiles reach beyond them."""
        down = self.tiles(y.height, self.tile) * self.tile + 2 - op.pads[0] - x.height
        right = self.tiles(y.width, self.tile) * self.tile + 2 - op.pads[1] - x.width
        return op.pads[0], op.pads[1], max(down, 0), max(right, 0)

    def weights(self, op: Convolution, weight: Floats, bias: Floats | None, x: Map, y: Map) -> dict[str, Floats]:
        """Transformed weights by point, group of output channels and input channel; transformed in float64."""
        lanes = y.block
        _, g, _ = matrices(self.tile)
        padded = np.zeros((y.blocks * lanes, weight.shape[1], 3, 3))
        padded[: weight.shape[0]] = weight
        points = np.einsum("ia,ocab,jb->ijoc", g, padded, g, optimize=True)
        grouped = points.reshape((self.tile + 2) ** 2, y.blocks // self.vectors, self.vectors * lanes, x.channels)
        filled = np.zeros(y.blocks * lanes, np.float32)
        if bias is not None:
            filled[: bias.size] = bias
        ordered = np.ascontiguousarray(grouped.transpose(0, 1, 3, 2), np.float32)
        return {"weight": ordered.reshape(-1), "bias": filled}

    def weight_floats(self, op: Convolution, x: Map, y: Map) -> int:
        """How many floats `weights` gives."""
        return y.blocks * y.block * ((self.tile + 2) ** 2 * x.channels + 1)

    def emit(self, name: str, op: Convolution, x: Map, y: Map, residual: Map | None, target: Target) -> list[Phase]:
        """The code, and what it is given."""
        rest = ["residual"] if residual is not None else []
        given = {
            "x": Operand.value(op.x),
            "weight": Operand.weights(op.y, "weight"),
            "bias": Operand.weights(op.y, "bias"),
            "y": Operand.value(op.y),
            "residual": Operand.value(op.residual),
            "scratch": SCRATCH,
        }

        def function(suffix: str, *pointers: str) -> tuple[Function, _Batch, tuple[Operand, ...]]:
            code, at = begin(name + suffix, pointers, target)
            return code, _Batch(self, code, op, x, y, residual, at), tuple(given[p] for p in pointers)

        if not self.together:
            code, work, operands = function("", "x", "weight", "bias", "y", *rest, "scratch")
            with jobs(code, -(-work.count // self.batch)) as job:
                first = job * self.batch
                work.emit(first, code.least(self.batch, work.count - first))
            return [Phase(code, operands, scratch=work.scratch)]
        phases = []
        code, work, operands = function("_data", "x", "scratch")
        with jobs(code, x.blocks * work.count) as job:
            work.data_tile(job // work.count, 0, job % work.count)
        phases.append(Phase(code, operands, shared=work.scratch))
        code, work, operands = function("_products", "weight", "scratch")
        groups = y.blocks // self.vectors
        with jobs(code, work.points * groups) as job:
            work.products(job // groups, job % groups, work.count)
        phases.append(Phase(code, operands, shared=work.scratch))
        code, work, operands = function("_results", "bias", "y", *rest, "scratch")
        with jobs(code, y.blocks * work.count) as job:
            work.result_tile(job // work.count, 0, job % work.count)
        phases.append(Phase(code, operands, shared=work.scratch))
        return phases


class _Batch:
    """Some tiles on their way: data transformed, multiplied point by point, transformed back."""

    def __init__(
        self,
        schedule: Winograd,
        code: Function,
        op: Convolution,
        x: Map,
        y: Map,
        residual: Map | None,
        at: dict[str, Value],
    ) -> None:
        self.schedule, self.code, self.op, self.x, self.y, self.residual = schedule, code, op, x, y, residual
        self.at = at
        self.size = schedule.tile + 2
        self.points = self.size**2
        self.down, self.across = (schedule.tiles(s, schedule.tile) for s in (y.height, y.width))
        # a page more per point would put all points of a tile into the same few places of the cache
        self.data_point = x.blocks * schedule.batch * x.block + 16
        self.result_point = y.blocks * schedule.batch * y.block + 16
        self.scratch = self.points * (self.data_point + self.result_point)
        self.count = self.down * self.across * y.images
        own: Index = 0 if schedule.together else code.parameter("thread") * self.scratch
        self.data = code.at(at["scratch"], own)
        self.results = code.at(self.data, self.points * self.data_point)

    def emit(self, first: Index, count: Index) -> None:
        """All of a batch, by one thread."""
        code, groups = self.code, self.y.blocks // self.schedule.vectors
        with code.loop(0, self.x.blocks) as block, code.loop(0, count) as t:
            self.data_tile(block, first, t)
        with code.loop(0, self.points) as point, code.loop(0, groups) as group:
            self.products(point, group, count)
        with code.loop(0, self.y.blocks) as block, code.loop(0, count) as t:
            self.result_tile(block, first, t)

    def position(self, number: Index) -> tuple[Index, Index, Index]:
        """Image, row and column of a tile."""
        each = self.down * self.across
        within = number % each
        return number // each, within // self.across, within % self.across

    def data_tile(self, block: Index, first: Index, t: Index) -> None:
        """Transform a tile of one block of input channels."""
        code, x, step = self.code, self.x, self.schedule.tile
        matrix = matrices(step)[2]
        kind = f"<{x.block} x float>"
        before = x.origin - self.op.pads[0] * x.row - self.op.pads[1] * x.block
        image, down, across = self.position(first + t)
        source = code.at(
            self.at["x"],
            image * x.image + block * x.plane + down * (step * x.row) + across * (step * x.block) + before,
        )
        target = code.at(self.data, block * (self.schedule.batch * x.block) + t * x.block)
        columns = [
            multiply(code, matrix, [code.load(source, i * x.row + j * x.block, kind) for i in range(self.size)])
            for j in range(self.size)
        ]
        for i in range(self.size):
            row = multiply(code, matrix, [columns[j][i] for j in range(self.size)])
            for j in range(self.size):
                code.store(row[j], target, (i * self.size + j) * self.data_point)

    def products(self, point: Index, group: Index, count: Index) -> None:
        """Multiply one point of all tiles with the weights of a group of output channels."""
        code, x, y, vectors = self.code, self.x, self.y, self.schedule.vectors
        data = code.at(self.data, point * self.data_point)
        results = code.at(self.results, point * self.result_point)
        weights = code.at(self.at["weight"], point * (x.channels * y.blocks * y.block))
        mine = code.at(weights, group * (x.channels * vectors * y.block))
        into = code.at(results, group * (vectors * self.schedule.batch * y.block))
        with code.loop(0, count, self.schedule.columns) as t:
            self.product(data, mine, into, t)

    def product(self, data: Value, weights: Value, into: Value, t: Index) -> None:
        """A register tile; the last one of a short batch multiplies what is left of the one before, for nobody."""
        code, x, y = self.code, self.x, self.y
        vectors, columns, batch = self.schedule.vectors, self.schedule.columns, self.schedule.batch
        sums = [[code.variable(code.vector, 0.0) for _ in range(vectors)] for _ in range(columns)]
        start = code.at(data, t * x.block)
        full, tail = divmod(x.channels, x.block)

        def block(number: Index, channels: int) -> None:
            tiles = code.at(start, number * (batch * x.block))
            taps = code.at(weights, number * (x.block * vectors * y.block))
            for channel in range(channels):
                w = [code.load(taps, (channel * vectors + v) * y.block) for v in range(vectors)]
                for c in range(columns):
                    value = code.broadcast(tiles, c * x.block + channel)
                    for v in range(vectors):
                        sums[c][v].set(code.fma(value, w[v], sums[c][v].get()))

        with code.loop(0, full) as number:
            block(number, x.block)
        if tail:
            block(full, tail)
        target = code.at(into, t * y.block)
        for v in range(vectors):
            for c in range(columns):
                code.store(sums[c][v].get(), target, v * (batch * y.block) + c * y.block)

    def result_tile(self, block: Index, first: Index, t: Index) -> None:
        """Transform a tile of one block of output channels back, and store what lies within the map."""
        code, y, step = self.code, self.y, self.schedule.tile
        matrix = matrices(step)[0]
        bias = code.load(self.at["bias"], block * y.block)
        image, down, across = self.position(first + t)
        source = code.at(self.results, block * (self.schedule.batch * y.block) + t * y.block)
        columns = [
            multiply(
                code, matrix, [code.load(source, (i * self.size + j) * self.result_point) for i in range(self.size)]
            )
            for j in range(self.size)
        ]
        for i in range(step):
            row = multiply(code, matrix, [columns[j][i] for j in range(self.size)])
            with _below(code, y.height % step != 0, down * step + i, y.height):
                for j in range(step):
                    with _below(code, y.width % step != 0, across * step + j, y.width):
                        self.put(row[j], bias, image, block, down * step + i, across * step + j)

    def put(self, value: Value, bias: Value, image: Index, block: Index, row: Index, column: Index) -> None:
        code, y, other = self.code, self.y, self.residual
        value = code.arithmetic("fadd", value, bias)
        if other is not None:
            place = image * other.image + block * other.plane + row * other.row + column * other.block + other.origin
            value = code.arithmetic("fadd", value, code.load(self.at["residual"], place))
        place = image * y.image + block * y.plane + row * y.row + column * y.block + y.origin
        code.store(activate(code, value, self.op.activation), self.at["y"], place)


def _below(code: Function, unsure: bool, place: Index, end: int) -> AbstractContextManager[None]:
    """Run the body where the place is within the map, as the last tiles' may not be."""
    return code.when("slt", place, end) if unsure else nullcontext()
