"""Convolution with large kernels by Fourier transforms of tiles: a product per frequency instead of one per tap."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.spectrum import Pairs, Spectrum, TileBuffer
from rooftune.compiler.emit.tile import Tile
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Convolution, Floats
from rooftune.compiler.target import Target
from rooftune.verdicts import Refusal

__all__ = ["Fourier"]

_LEAST_KERNEL = 5
"""Rows and columns of kernels this is for: below, Winograd's transforms and the taps themselves cost less."""

_TRANSFORM = {8: 12, 16: 16, 32: 23, 64: 31}
"""Sides of tiles, and the instructions per pixel to transform one, or back."""

_MOST_GROWTH = 24
"""So many times as large transformed weights may be, where all channels meet."""

_WORTH = 0.75
"""Of the taps' instructions what transforms and products may need at most."""

_SPARSE = 0.7
"""The transform of a kernel, over that of a tile: rows of zeros cost nothing."""


@dataclass(frozen=True)
class Fourier:
    """Tiles of `tile`×`tile` pixels are transformed, `batch` at a time, multiplied frequency by frequency in register
    tiles of `columns` of them by `vectors` blocks of output channels, and transformed back.

    What wraps around in a tile is not kept (overlap and save). A thread does all of that for its batches, or, where all
    tiles fit into the shared cache, the threads do each of the three `together` for all of them. Weights are as many
    numbers as a tile has pixels; or they are kept `raw`, and transformed in every run. Where every channel has a kernel
    of its own, a tile is transformed, multiplied and transformed back at once.
    """

    tile: int
    batch: int = 1
    columns: int = 1
    vectors: int = 1
    together: bool = False
    raw: bool = False

    @staticmethod
    def takes(op: Convolution, channels: int, out: int) -> Refusal | None:
        """Why this kernel cannot run the convolution; None where it can."""
        fits = min(op.kernel) >= _LEAST_KERNEL and max(op.kernel) < max(_TRANSFORM)
        if not fits or op.strides != (1, 1) or op.dilations != (1, 1):
            return Refusal("Fourier's is for kernels of at least 5×5 with stride 1", op.nodes[0])
        if op.groups not in (1, channels) or (op.groups > 1 and channels != out):
            return Refusal("its groups have several channels", op.nodes[0])
        return None

    @staticmethod
    def space(op: Convolution, x: Map, y: Map, target: Target) -> Iterator[Fourier]:
        """For every size of tile that saves work: tiles together or in batches, weights transformed ahead or not."""
        for tile in _TRANSFORM:
            if tile <= max(op.kernel) or not (one := _Plan(tile, op, x, y)).saves():
                continue
            if op.groups > 1:
                yield Fourier(tile)
                continue
            for vectors in (v for v in (1, 2, 4) if y.blocks % v == 0):
                for schedule in _batches(tile, vectors, one.count, x, y, target):
                    if tile**2 <= _MOST_GROWTH * op.kernel[0] * op.kernel[1]:
                        yield schedule
                    if 4 * tile**2 * x.channels * y.blocks * y.block <= target.l3 // 2:
                        yield replace(schedule, raw=True)

    def instructions(self, op: Convolution, x: Map, y: Map) -> float:
        """Vector instructions of transforms and products, about."""
        plan = _Plan(self.tile, op, x, y)
        transforms = plan.count * (x.blocks + y.blocks)
        if op.groups > 1:
            return transforms * plan.transform + plan.count * y.blocks * 2 * self.tile**2
        batches = -(-plan.count // self.batch)
        done = -(-min(plan.count, self.batch) // self.columns) * self.columns * batches
        weights = _SPARSE * x.channels * y.blocks if self.raw else 0
        products = done * (1 + 0.25 / self.columns) * 2 * self.tile**2 * x.channels * y.blocks
        return products + (transforms + weights) * plan.transform

    def cost(self, op: Convolution, x: Map, y: Map, target: Target) -> float:
        """The same with what threads wait for: weights from memory or a shared cache, and each other."""
        if op.groups > 1:
            return self.instructions(op, x, y)
        batches = -(-_Plan(self.tile, op, x, y).count // self.batch)
        # once a batch; some four times as slow as a multiply-add
        streamed = 4 * self.tile**2 * x.channels * y.blocks * batches
        turns = 1.0 if self.together else -(-batches // target.threads) * target.threads / batches
        return (self.instructions(op, x, y) + streamed) * turns

    def halo(self, op: Convolution, x: Map, y: Map) -> Halo:
        """Zeros the input needs: the pads, and what the last tiles reach beyond them."""
        plan = _Plan(self.tile, op, x, y)
        down = plan.down * plan.rows + op.kernel[0] - 1 - op.pads[0] - x.height
        right = plan.across * plan.columns + op.kernel[1] - 1 - op.pads[1] - x.width
        return op.pads[0], op.pads[1], max(down, 0), max(right, 0)

    def weight_floats(self, op: Convolution, x: Map, y: Map) -> int:
        """How many floats `weights` gives."""
        spectrum, depth = Spectrum(self.tile), 1 if op.groups > 1 else x.channels
        if self.raw:
            return (depth * op.kernel[0] * op.kernel[1] + 1) * y.blocks * y.block
        return spectrum.pairs * (2 * depth * y.blocks * y.block) + y.blocks * y.block

    def weights(self, op: Convolution, weight: Floats, bias: Floats | None, x: Map, y: Map) -> dict[str, Floats]:
        """Transformed weights, in float64 until then: by pair of numbers, group of output channels and input channel,
        or, where every channel has a kernel of its own, by block of channels and pair.

        Raw ones lie by block of output channels, input channel, row and column.
        """
        padded = np.zeros((y.blocks * y.block, *weight.shape[1:]))
        # the inverse is times the tile's pixels: a power of two, so that raw weights stay exact
        padded[: weight.shape[0]] = weight / self.tile**2
        if self.raw:
            by_block = padded.reshape(y.blocks, y.block, *weight.shape[1:]).transpose(0, 2, 3, 4, 1)
            return {"weight": np.ascontiguousarray(by_block, np.float32).reshape(-1), "bias": y.filled(bias)}
        spectrum = Spectrum(self.tile)
        made = np.empty(
            (spectrum.pairs, y.blocks // self.vectors, weight.shape[1], 2, self.vectors, y.block), np.float32
        )
        for block in range(y.blocks):
            pairs = spectrum.of(padded[block * y.block : (block + 1) * y.block])  # [pair, part, out, in]
            made[:, block // self.vectors, :, :, block % self.vectors] = pairs.transpose(0, 3, 1, 2)
        if op.groups > 1:
            made = made.swapaxes(0, 1)
        return {"weight": np.ascontiguousarray(made).reshape(-1), "bias": y.filled(bias)}

    def emit(self, name: str, op: Convolution, x: Map, y: Map, residual: Map | None, target: Target) -> list[Phase]:
        """The code, and what it is given."""
        rest = ["residual"] if residual is not None else []
        phases = []

        def begun(suffix: str, *pointers: str) -> tuple[Function, _Batch]:
            code, at = begin(name + suffix, (*pointers, "scratch"), target)
            work = _Batch(self, code, op, x, y, residual, at)
            phases.append(Phase(code, operands(op, at), scratch=work.own, shared=work.shared))
            return code, work

        if op.groups > 1:
            code, work = begun("", "x", "weight", "bias", "y", *rest)
            with jobs(code, y.blocks * work.plan.count) as job:
                work.by_channel(job // work.plan.count, job % work.plan.count)
            return phases
        if self.raw:
            code, work = begun("_weights", "weight")
            with jobs(code, y.blocks * x.channels) as job:
                work.kernel(job // x.channels, job % x.channels)
        if not self.together:
            code, work = begun("", "x", "weight", "bias", "y", *rest)
            with jobs(code, -(-work.plan.count // self.batch)) as job:
                first = job * self.batch
                work.emit(first, code.least(self.batch, work.plan.count - first))
            return phases
        code, work = begun("_data", "x")
        count = work.plan.count
        with jobs(code, x.blocks * count) as job:
            work.data_tile(job // count, 0, job % count)
        code, work = begun("_products", "weight")
        groups = y.blocks // self.vectors
        with jobs(code, work.spectrum.pairs * groups) as job:
            work.products(job // groups, job % groups, count)
        code, work = begun("_results", "bias", "y", *rest)
        with jobs(code, y.blocks * count) as job:
            work.result_tile(job // count, 0, job % count)
        return phases


def _batches(tile: int, vectors: int, count: int, x: Map, y: Map, target: Target) -> Iterator[Fourier]:
    """All tiles together where half of the shared cache holds their numbers; and so many at a time for every thread."""
    columns = max(1, min((target.sums - 2) // (2 * vectors), count))
    whole = -(-count // columns) * columns
    held = target.l3 // 2 // (4 * tile**2 * (x.blocks * x.block + y.blocks * y.block))
    if whole <= held:
        yield Fourier(tile, whole, columns, vectors, together=True)
    share = min(held, count) // target.threads // columns * columns
    yield Fourier(tile, max(columns, share), columns, vectors)


class _Plan:
    """How a map is cut into tiles, and what a tile costs."""

    def __init__(self, tile: int, op: Convolution, x: Map, y: Map) -> None:
        self._op, self._x, self._y, self._tile = op, x, y, tile
        self.rows, self.columns = (tile - k + 1 for k in op.kernel)
        self.down, self.across = -(-y.height // self.rows), -(-y.width // self.columns)
        self.count = y.images * self.down * self.across
        self.transform = tile**2 * _TRANSFORM[tile]  # vector instructions, and as many to transform a tile back

    def saves(self) -> bool:
        """Whether there is clearly less to do than for the taps."""
        op, x, y = self._op, self._x, self._y
        depth = 1 if op.groups > 1 else x.channels
        taps = y.images * y.height * y.width * op.kernel[0] * op.kernel[1] * depth * y.blocks
        products = self.count * 2 * self._tile**2 * depth * y.blocks
        return products + self.count * (x.blocks + y.blocks) * self.transform < _WORTH * taps


class _Batch:
    """Some tiles on their way: transformed, multiplied frequency by frequency, transformed back.

    In scratch lie raw weights' transforms and, where threads work together, the numbers of all tiles; behind these what
    every thread has for itself.
    """

    def __init__(
        self,
        schedule: Fourier,
        code: Function,
        op: Convolution,
        x: Map,
        y: Map,
        residual: Map | None,
        at: dict[str, Value],
    ) -> None:
        self.schedule, self.code, self.op, self.x, self.y, self.residual = schedule, code, op, x, y, residual
        self.at, self.size = at, schedule.tile
        self.plan, self.spectrum = _Plan(schedule.tile, op, x, y), Spectrum(schedule.tile)
        # a vector more per number, or all numbers of a tile would be in the same few places of the cache
        self.data_point = x.blocks * schedule.batch * x.block + 16
        self.result_point = y.blocks * schedule.batch * y.block + 16
        self.weight_pair = 2 * x.channels * y.blocks * y.block + (16 if schedule.raw else 0)
        data, results = (0, 0) if op.groups > 1 else (self.size**2 * p for p in (self.data_point, self.result_point))
        weights = self.spectrum.pairs * self.weight_pair if schedule.raw else 0
        buffer = self.size * TileBuffer.line(self.size, y.block)
        self.shared, self.own = weights, data + results + buffer
        if schedule.together:
            self.shared, self.own = weights + data + results, buffer
        mine = code.at(at["scratch"], code.parameter("thread") * self.own + self.shared)
        self.weights = at["scratch"] if schedule.raw else at.get("weight", mine)
        self.data = code.at(at["scratch"], weights) if schedule.together else mine
        self.results = code.at(self.data, data)
        self._place = mine if schedule.together else code.at(mine, data + results)

    def buffer(self, block: int) -> TileBuffer:
        return TileBuffer(self.code, self.spectrum, self._place, block)

    def emit(self, first: Index, count: Index) -> None:
        """All of a batch, by one thread."""
        code, groups = self.code, self.y.blocks // self.schedule.vectors
        with code.loop(0, self.x.blocks) as block, code.loop(0, count) as t:
            self.data_tile(block, first, t)
        with code.loop(0, self.spectrum.pairs) as pair, code.loop(0, groups) as group:
            self.products(pair, group, count)
        with code.loop(0, self.y.blocks) as block, code.loop(0, count) as t:
            self.result_tile(block, first, t)

    def kernel(self, block: Index, channel: Index) -> None:
        """Transform the kernels that lead from an input channel to a block of output channels."""
        code, y, vectors = self.code, self.y, self.schedule.vectors
        rows, columns = self.op.kernel
        source = code.at(self.at["weight"], (block * self.x.channels + channel) * (rows * columns * y.block))
        buffer, nothing = self.buffer(y.block), [None] * (self.size - columns)
        with code.loop(0, rows) as row:
            buffer.put_row(row, [*(code.load(source, (row * columns + q) * y.block) for q in range(columns)), *nothing])
        place = block // vectors * (2 * self.x.channels * vectors) + channel * (2 * vectors) + block % vectors
        buffer.transform(rows, Pairs(code.at(self.weights, place * y.block), self.weight_pair, vectors * y.block))

    def data_tile(self, block: Index, first: Index, t: Index) -> None:
        """Transform a tile of one block of input channels."""
        self._rows(block, first + t)
        place = self.code.at(self.data, block * (self.schedule.batch * self.x.block) + t * self.x.block)
        self.buffer(self.x.block).transform(self.size, Pairs(place, 2 * self.data_point, self.data_point))

    def result_tile(self, block: Index, first: Index, t: Index) -> None:
        """Transform a tile of one block of output channels back, and store what lies within the map."""
        place = self.code.at(self.results, block * (self.schedule.batch * self.y.block) + t * self.y.block)
        pairs = Pairs(place, 2 * self.result_point, self.result_point)
        self.buffer(self.y.block).inverse(self.plan.rows, pairs)
        self._put_rows(block, first + t)

    def by_channel(self, block: Index, number: Index) -> None:
        """All of a tile, where every channel has a kernel of its own."""
        self._rows(block, number)
        place = self.code.at(self.at["weight"], block * (self.size**2 * self.y.block))
        self.buffer(self.y.block).correlate(self.plan.rows, Pairs(place, 2 * self.y.block, self.y.block))
        self._put_rows(block, number)

    def _position(self, number: Index) -> tuple[Index, Index, Index]:
        """Image, and first row and column of the result, of a tile."""
        plan = self.plan
        within = number % (plan.down * plan.across)
        return (
            number // (plan.down * plan.across),
            within // plan.across * plan.rows,
            within % plan.across * plan.columns,
        )

    def _rows(self, block: Index, number: Index) -> None:
        """Transform the rows of a tile."""
        code, x, buffer, kind = self.code, self.x, self.buffer(self.x.block), f"<{self.x.block} x float>"
        image, row, column = self._position(number)
        before = x.origin - self.op.pads[0] * x.row - self.op.pads[1] * x.block
        source = code.at(self.at["x"], image * x.image + block * x.plane + row * x.row + column * x.block + before)
        with code.loop(0, self.size) as i:
            line = code.at(source, i * x.row)
            buffer.put_row(i, [code.load(line, j * x.block, kind) for j in range(self.size)])

    def _put_rows(self, block: Index, number: Index) -> None:
        """Transform the rows of a tile back, and store what lies within the map."""
        code, y, other, plan = self.code, self.y, self.residual, self.plan
        image, row, column = self._position(number)
        bias = code.load(self.at["bias"], block * y.block)
        into = code.at(self.at["y"], image * y.image + block * y.plane + row * y.row + column * y.block + y.origin)
        added = None
        if other is not None:
            place = image * other.image + block * other.plane + row * other.row + column * other.block + other.origin
            added = code.at(self.at["residual"], place)
        with code.loop(0, code.least(plan.rows, y.height - row)) as i:
            found = self.buffer(y.block).row(i)
            for j in range(plan.columns):
                # the last tiles may reach beyond the map
                with code.when("slt", column + j, y.width) if y.width % plan.columns else nullcontext():
                    value = code.arithmetic("fadd", found[j], bias)
                    if added is not None and other is not None:
                        value = code.arithmetic("fadd", value, code.load(added, i * other.row + j * other.block))
                    code.store(activate(code, value, self.op.activation), into, i * y.row + j * y.block)

    def products(self, pair: Index, group: Index, count: Index) -> None:
        """Multiply one pair of numbers of all tiles with the weights of a group of output channels."""
        code, x, y, vectors = self.code, self.x, self.y, self.schedule.vectors
        data = code.at(self.data, pair * (2 * self.data_point))
        into = code.at(self.results, pair * (2 * self.result_point) + group * (vectors * self.schedule.batch * y.block))
        weights = code.at(self.weights, pair * self.weight_pair + group * (x.channels * 2 * vectors * y.block))
        for comparison, apart in (("slt", False), ("sge", True)):
            with (
                code.when(comparison, pair, self.spectrum.apart),
                code.loop(0, count, self.schedule.columns) as t,
            ):
                self._product(data, weights, into, t, apart)

    def _product(self, data: Value, weights: Value, into: Value, t: Index, apart: bool) -> None:
        """A register tile of numbers times conjugates: real parts, then imaginary ones; or of numbers that are `apart`.

        The last tile of a short batch multiplies what is left of the one before, for nobody.
        """
        code, x, y, batch = self.code, self.x, self.y, self.schedule.batch
        vectors, columns = self.schedule.vectors, self.schedule.columns
        tile = Tile(code, columns, [0.0] * (2 * vectors))
        start = code.at(data, t * x.block)

        def block(number: Index, channels: int) -> None:
            numbers = code.at(start, number * (batch * x.block))
            taps = code.at(weights, number * (x.block * 2 * vectors * y.block))
            for channel in range(channels):
                w = [code.load(taps, (channel * 2 * vectors + v) * y.block) for v in range(2 * vectors)]
                for c in range(columns):
                    place = c * x.block + channel
                    real, imaginary = (code.broadcast(numbers, place + part * self.data_point) for part in range(2))
                    minus = code.emit(code.vector, f"fneg {code.vector} {real.name}")
                    for v in range(vectors):
                        tile.add(c, v, real, w[v])
                        tile.add(c, vectors + v, imaginary, w[vectors + v] if apart else w[v])
                        if not apart:
                            tile.add(c, v, imaginary, w[vectors + v])
                            tile.add(c, vectors + v, minus, w[vectors + v])

        full, tail = divmod(x.channels, x.block)
        with code.loop(0, full) as number:
            block(number, x.block)
        if tail:
            block(full, tail)
        for part in range(2):
            place = code.at(into, t * y.block + part * self.result_point)
            for v in range(vectors):
                for c in range(columns):
                    code.store(tile.sum(c, part * vectors + v), place, v * (batch * y.block) + c * y.block)
