"""Winograd's convolution for 3×3 kernels with stride 1: fewer multiplications, by transforms of tiles.

A dilated one is several of them: every `d`-th row and column of a map make a map of their own (Holschneider's à trous).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.linear import multiply
from rooftune.compiler.emit.tile import Grid, Tile
from rooftune.compiler.emit.toom_cook import POINTS, matrices
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Activation, Convolution, Floats
from rooftune.compiler.target import Target
from rooftune.verdicts import Refusal

__all__ = ["Winograd"]

_FEW_TILES = 64
"""Tiles that all fit into the last cache at once, whatever the channels."""

_FEW_THREADS = 4
"""Threads each of which transforms everything itself that every one of them will read: sooner done than fetched from
the caches of the others, where all of it is since the last run."""

_TAPS = 9
_LINE = 16
"""Floats of a cache line."""

_AHEAD = 16
"""Vectors of output channels before their taps are needed that a transform of weights asks for them."""


@dataclass(frozen=True)
class Winograd:
    """F(`tile`×`tile`, 3×3) on `batch` tiles at a time; products in register tiles of `columns` by `vectors`.

    A thread transforms a batch, multiplies it with all weights and transforms the products back, all within its own
    second-level cache. Where there are few tiles the threads do each of the three `together` for all of them, and
    each weight is read once.

    Transformed weights are (tile + 2)² / 9 times as large as they were. `raw` ones are packed as they are, and the
    program transforms them while it runs: all of them before the first batch, or, `together`, those of one group of
    output channels by the thread that makes these channels.
    """

    tile: int
    batch: int
    columns: int
    vectors: int
    together: bool = False
    raw: bool = False

    @staticmethod
    def takes(op: Convolution) -> Refusal | None:
        """Why this kernel cannot run the convolution; None where it can."""
        fits = op.kernel == (3, 3) and op.strides == (1, 1) and op.groups == 1
        return None if fits else Refusal("Winograd's is for 3×3 kernels with stride 1", op.nodes[0])

    @staticmethod
    def space(op: Convolution, x: Map, y: Map, target: Target) -> Iterator[Winograd]:
        """For every tile size, register tiles and as many tiles at a time as half of the second-level cache holds.

        Of raw weights and of data, what all threads share while the program runs must not crowd the last cache; the
        smaller of the two is always allowed.
        """
        for tile in POINTS:
            points = 4 * (tile + 2) ** 2
            count = Winograd.count(op, y, tile)
            data, weights = points * count * x.channels, points * x.channels * y.blocks * y.block
            held = target.l2 // 2 // (points * (x.blocks + y.blocks) * y.block)
            for vectors in (1, 2, 3, 4):
                if vectors > y.blocks or y.blocks % vectors:
                    continue
                most = (target.sums - 1) // vectors
                # columns so that the last register tile is as full as the others
                columns = -(-count // -(-count // most))
                batch = max(columns, min(held, count) // columns * columns)
                whole = -(-count // columns) * columns
                yield Winograd(tile, batch, columns, vectors)
                if count <= _FEW_TILES:
                    yield Winograd(tile, whole, columns, vectors, together=True)
                if weights <= max(target.l3 // 8, data):
                    yield Winograd(tile, batch, columns, vectors, raw=True)
                fits = vectors == 1 or points * whole * vectors * y.block <= target.l2 // 2
                if fits and data <= max(target.l3 // 4, weights):
                    yield Winograd(tile, whole, columns, vectors, together=True, raw=True)

    @staticmethod
    def tiles(op: Convolution, y: Map, tile: int) -> tuple[int, int]:
        """Tiles down and across: those of every d-th row from the first on, those from the second on, and so on."""
        sizes = zip((y.height, y.width), op.dilations, strict=True)
        down, across = (-(-size // (apart * tile)) * apart for size, apart in sizes)
        return down, across

    @staticmethod
    def count(op: Convolution, y: Map, tile: int) -> int:
        """Tiles of all images."""
        down, across = Winograd.tiles(op, y, tile)
        return y.images * down * across

    def depth(self, x: Map, y: Map, target: Target) -> int:
        """Blocks of input channels at a time whose raw weights a thread transforms: a quarter of its own cache."""
        held = target.l2 // 4 // (4 * (self.tile + 2) ** 2 * x.block * self.vectors * y.block)
        # as many in the last turn as in the others
        return -(-x.blocks // -(-x.blocks // max(1, held)))

    def halo(self, op: Convolution, x: Map, y: Map) -> Halo:
        """Zeros the input needs: the pads, and what the last tiles reach beyond them."""
        down, across = self.tiles(op, y, self.tile)
        below = down * self.tile + 2 * op.dilations[0] - op.pads[0] - x.height
        right = across * self.tile + 2 * op.dilations[1] - op.pads[1] - x.width
        return op.pads[0], op.pads[1], max(below, 0), max(right, 0)

    def weight_floats(self, op: Convolution, x: Map, y: Map) -> int:
        """How many floats `weights` gives."""
        taps = _TAPS if self.raw else (self.tile + 2) ** 2
        return (taps * x.channels + 1) * y.blocks * y.block

    def weights(self, op: Convolution, weight: Floats, bias: Floats | None, x: Map, y: Map) -> dict[str, Floats]:
        """Weights in the order they are read, and one bias per output channel.

        Transformed, in float64: by point, group of output channels, input channel and output channel. As they are:
        by group, input channel, vector of output channels and tap.
        """
        lanes, vectors, groups = y.block, self.vectors, y.blocks // self.vectors
        padded = np.zeros((y.blocks * lanes, x.channels, 3, 3))
        padded[: weight.shape[0]] = weight
        if self.raw:
            grouped = padded.reshape(groups, vectors, lanes, x.channels, _TAPS).transpose(0, 3, 1, 4, 2)
        else:
            _, g, _ = matrices(self.tile)
            points = np.einsum("ia,ocab,jb->ijoc", g, padded, g, optimize=True)
            grouped = points.reshape(-1, groups, vectors * lanes, x.channels).transpose(0, 1, 3, 2)
        return {"weight": np.ascontiguousarray(grouped, np.float32).reshape(-1), "bias": y.filled(bias)}

    def emit(self, name: str, op: Convolution, x: Map, y: Map, residual: Map | None, target: Target) -> list[Phase]:
        """The code, and what it is given."""
        rest = ["residual"] if residual is not None else []
        layout = _Layout.of(self, op, x, y, target)

        def begun(suffix: str, *pointers: str) -> _Work:
            code, at = begin(name + suffix, pointers, target)
            return _Work(self, layout, code, op, x, y, residual, at)

        def ended(work: _Work) -> Phase:
            return Phase(work.code, operands(op, work.at), layout.own, layout.shared)

        phases = []
        if layout.shared:
            work = begun("_first", "weight" if self.raw and not self.together else "x", "scratch")
            work.prepare()
            phases.append(ended(work))
        groups = y.blocks // self.vectors
        if self.together and not self.raw:
            work = begun("_products", "weight", "scratch")
            with jobs(work.code, layout.points * groups) as job:
                work.products(job // groups, job % groups, layout.count)
            phases.append(ended(work))
            work = begun("_results", "bias", "y", *rest, "scratch")
            with jobs(work.code, y.blocks * layout.count) as job:
                work.result_tile(job // layout.count, job // layout.count, 0, job % layout.count)
            return [*phases, ended(work)]
        work = begun("", "x", "weight", "bias", "y", *rest, "scratch")
        if self.raw and not layout.shared:
            work.prepare()
        if self.together:
            with jobs(work.code, groups) as group:
                work.group(group)
        else:
            with jobs(work.code, -(-layout.count // self.batch)) as job:
                first = job * self.batch
                work.batch(first, work.code.least(self.batch, layout.count - first))
        return [*phases, ended(work)]


@dataclass(frozen=True)
class _Layout:
    """How tiles and scratch memory are cut up, in floats.

    count    tiles in all
    depth    blocks of input channels whose weights a thread transforms at a time
    data_point, weight_point, result_point   from one point of what is transformed to the next
    places   where `data`, `weights` and `results` begin: in what is shared, or (False) in what every thread has
    shared, own   sizes of the two
    """

    points: int
    count: int
    depth: int
    data_point: int
    weight_point: int
    result_point: int
    places: Mapping[str, tuple[bool, int]]
    shared: int
    own: int

    @classmethod
    def of(cls, schedule: Winograd, op: Convolution, x: Map, y: Map, target: Target) -> _Layout:
        """What a schedule needs, and of that what its threads share."""
        points, together, raw = (schedule.tile + 2) ** 2, schedule.together, schedule.raw
        count = schedule.count(op, y, schedule.tile)
        depth, out = (schedule.depth(x, y, target), schedule.vectors) if raw and together else (x.blocks, y.blocks)
        apart = {
            "data": _staggered(x.blocks * schedule.batch * x.block),
            "weights": _staggered(min(x.channels, depth * x.block) * out * y.block) if raw else 0,
            "results": _staggered(out * schedule.batch * y.block),
        }
        # a copy for each of a few threads, unless copies would crowd the last cache
        copies = 4 * points * apart["data" if together else "weights"] * target.threads
        common = target.threads > _FEW_THREADS or copies > target.l3 // 4
        shared = {
            "data": together and (common or not raw),
            "weights": raw and common and not together,
            "results": together and not raw,
        }
        places: dict[str, tuple[bool, int]] = {}
        ends = {True: 0, False: 0}
        for part, size in apart.items():
            places[part] = shared[part], ends[shared[part]]
            ends[shared[part]] += points * size
        return cls(
            points,
            count,
            depth,
            data_point=apart["data"],
            weight_point=apart["weights"] if raw else x.channels * y.blocks * y.block,
            result_point=apart["results"],
            places=places,
            shared=ends[True],
            own=ends[False],
        )


def _staggered(size: int) -> int:
    """Room for so many floats: whole cache lines, and one more.

    Points that are a multiple of a page apart would all compete for the same few places of the cache.
    """
    return -(-size // _LINE) * _LINE + _LINE


class _Work:
    """Tiles on their way, in one function: data transformed, multiplied point by point, transformed back."""

    def __init__(
        self,
        schedule: Winograd,
        layout: _Layout,
        code: Function,
        op: Convolution,
        x: Map,
        y: Map,
        residual: Map | None,
        at: dict[str, Value],
    ) -> None:
        self.schedule, self.layout, self.code, self.op = schedule, layout, code, op
        self.x, self.y, self.residual, self.at = x, y, residual, at
        self.size = schedule.tile + 2
        self.down, self.across = schedule.tiles(op, y, schedule.tile)
        own = at["scratch"]
        if layout.own:
            own = code.at(own, code.parameter("thread") * layout.own + layout.shared)
        self.data, self.transformed, self.results = (
            code.at(at["scratch"] if shared else own, place) for shared, place in layout.places.values()
        )

    def prepare(self) -> None:
        """Transform what all jobs will read, data or weights: every thread its share, or all where none is shared."""
        code, layout, together = self.code, self.layout, self.schedule.together
        count = self.x.blocks * layout.count if together else self.x.channels * self.y.blocks
        with jobs(code, count) if layout.shared else code.loop(0, count) as job:
            if together:
                self.data_tile(job // layout.count, 0, job % layout.count)
            else:
                self.weight_vector(self.at["weight"], job)

    def batch(self, first: Index, count: Index) -> None:
        """All of a batch of tiles, by one thread."""
        code, groups = self.code, self.y.blocks // self.schedule.vectors
        with code.loop(0, self.x.blocks) as block, code.loop(0, count) as t:
            self.data_tile(block, first, t)
        with code.loop(0, self.layout.points) as point, code.loop(0, groups) as group:
            self.products(point, group, count)
        with code.loop(0, self.y.blocks) as block, code.loop(0, count) as t:
            self.result_tile(block, block, first, t)

    def group(self, group: Index) -> None:
        """All tiles of a group of output channels, by one thread that transforms the weights of the group itself."""
        code, x, vectors, depth = self.code, self.x, self.schedule.vectors, self.layout.depth
        channel = _TAPS * vectors * self.y.block
        weights = code.at(self.at["weight"], group * (x.channels * channel))
        full, tail = divmod(x.channels, x.block)
        turns, rest = divmod(full, depth)
        added = turns + bool(rest or tail) > 1
        if added:
            self.clear_results()
        with code.loop(0, turns) as turn:
            first = turn * depth
            self.turn(code.at(weights, first * (x.block * channel)), first, depth, 0, added)
        if rest or tail:
            first = turns * depth
            self.turn(code.at(weights, first * (x.block * channel)), first, rest, tail, added)
        with code.loop(0, vectors) as vector, code.loop(0, self.layout.count) as t:
            self.result_tile(group * vectors + vector, vector, 0, t)

    def turn(self, weights: Value, first: Index, blocks: int, tail: int, added: bool) -> None:
        """Multiply some blocks of input channels, and a `tail` of a block, with raw weights; the sums may be `added`.

        The multiplications need no memory but the thread's own, so what the next turn will read is fetched meanwhile.
        """
        code, x, schedule, layout = self.code, self.x, self.schedule, self.layout
        vectors = (blocks * x.block + tail) * schedule.vectors
        with code.loop(0, vectors) as vector:
            self.weight_vector(weights, vector)
        following = code.at(weights, vectors * (_TAPS * self.y.block))
        steps = -(-layout.count // schedule.columns)
        # lines of the next turn's weights, spread over points, register tiles and blocks of channels
        of_block = -(-_TAPS * x.block * schedule.vectors * self.y.block // (_LINE * layout.points))
        lines = -(-of_block // steps)
        parts = -(-of_block // lines)
        with code.loop(0, layout.points) as point:
            data = code.at(self.data, point * layout.data_point + first * (schedule.batch * x.block))
            mine = code.at(self.transformed, point * layout.weight_point)
            into = code.at(self.results, point * layout.result_point)
            with code.loop(0, steps) as step:
                part = point * parts + code.least(step, parts - 1)

                def fetch(block: Index, part: Index = part) -> None:
                    self.prefetch(following, (part * blocks + block) * (lines * _LINE), lines)

                self.product(data, mine, into, step * schedule.columns, blocks, tail, added, fetch)

    def clear_results(self) -> None:
        """Sums that several turns add to start at zero."""
        code = self.code
        zero = code.variable(code.vector, 0.0).get()
        with code.loop(0, self.layout.points * self.layout.result_point, self.y.block) as place:
            code.store(zero, self.results, place)

    def prefetch(self, pointer: Value, index: Index, lines: int) -> None:
        """Ask for weights that will be read soon; behind the last there may be nothing, which is no fault."""
        code = self.code
        code.declarations["declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"] = None
        for line in range(lines):
            place = code.text(index + line * _LINE, "i64")
            address = code.emit("ptr", f"getelementptr float, ptr {pointer.name}, i64 {place}")
            # to be read, into the second-level cache
            code.line(f"call void @llvm.prefetch.p0(ptr {address.name}, i32 0, i32 2, i32 1)")

    def position(self, number: Index) -> tuple[Index, Index, Index]:
        """Image, first row and first column of a tile."""
        each = self.down * self.across
        within = number % each
        rows, columns = self.op.dilations
        down, across = within // self.across, within % self.across
        return number // each, self.first(down, rows), self.first(across, columns)

    def first(self, number: Index, apart: int) -> Index:
        """Where a tile begins whose rows (or columns) are so far apart."""
        step = self.schedule.tile
        return number * step if apart == 1 else number // apart * (step * apart) + number % apart

    def weight_vector(self, source: Value, vector: Index) -> None:
        """Transform the weights of one input channel and a vector of output channels."""
        code, lanes = self.code, self.y.block
        matrix = matrices(self.schedule.tile)[1]
        taps = code.at(source, vector * (_TAPS * lanes))
        into = code.at(self.transformed, vector * lanes)
        self.prefetch(taps, _AHEAD * _TAPS * lanes, -(-_TAPS * lanes // _LINE))
        columns = [multiply(code, matrix, [code.load(taps, (3 * r + q) * lanes) for r in range(3)]) for q in range(3)]
        for i in range(self.size):
            row = multiply(code, matrix, [columns[q][i] for q in range(3)])
            for j in range(self.size):
                code.store(row[j], into, (i * self.size + j) * self.layout.weight_point)

    def data_tile(self, block: Index, first: Index, t: Index) -> None:
        """Transform a tile of one block of input channels."""
        code, x = self.code, self.x
        matrix = matrices(self.schedule.tile)[2]
        kind = f"<{x.block} x float>"
        down, across = self.op.dilations[0] * x.row, self.op.dilations[1] * x.block
        before = x.origin - self.op.pads[0] * x.row - self.op.pads[1] * x.block
        image, row, column = self.position(first + t)
        source = code.at(self.at["x"], image * x.image + block * x.plane + row * x.row + column * x.block + before)
        target = code.at(self.data, block * (self.schedule.batch * x.block) + t * x.block)
        columns = [
            multiply(code, matrix, [code.load(source, i * down + j * across, kind) for i in range(self.size)])
            for j in range(self.size)
        ]
        for i in range(self.size):
            points = multiply(code, matrix, [columns[j][i] for j in range(self.size)])
            for j in range(self.size):
                code.store(points[j], target, (i * self.size + j) * self.layout.data_point)

    def products(self, point: Index, group: Index, count: Index) -> None:
        """Multiply one point of all tiles with the weights of a group of output channels."""
        code, x, y, layout, vectors = self.code, self.x, self.y, self.layout, self.schedule.vectors
        data = code.at(self.data, point * layout.data_point)
        weights = self.transformed if self.schedule.raw else self.at["weight"]
        mine = code.at(weights, point * layout.weight_point + group * (x.channels * vectors * y.block))
        into = code.at(self.results, point * layout.result_point + group * (vectors * self.schedule.batch * y.block))
        full, tail = divmod(x.channels, x.block)
        with code.loop(0, count, self.schedule.columns) as t:
            self.product(data, mine, into, t, full, tail)

    def product(
        self,
        data: Value,
        weights: Value,
        into: Value,
        t: Index,
        blocks: int,
        tail: int,
        added: bool = False,
        meanwhile: Callable[[Index], None] | None = None,
    ) -> None:
        """A register tile; the last one of a short batch multiplies what is left of the one before, for nobody."""
        code, x, y, batch = self.code, self.x, self.y, self.schedule.batch
        vectors, columns = self.schedule.vectors, self.schedule.columns
        tile = Tile(code, columns, [0.0] * vectors)
        start = code.at(data, t * x.block)

        def block(number: Index, channels: int) -> None:
            if meanwhile is not None:
                meanwhile(number)
            taps = code.at(weights, number * (x.block * vectors * y.block))
            tiles = code.at(start, number * (batch * x.block))
            tile.add_channels(tiles, x.block, channels, Grid(taps, vectors * y.block, y.block))

        with code.loop(0, blocks) as number:
            block(number, x.block)
        if tail:
            block(blocks, tail)
        target = Grid(into, y.block, batch * y.block).after(t)
        tile.store(target, Activation(), target if added else None)

    def result_tile(self, block: Index, held: Index, first: Index, t: Index) -> None:
        """Transform a tile of one block of output channels back, and store what lies within the map."""
        code, y, step = self.code, self.y, self.schedule.tile
        matrix = matrices(step)[0]
        bias = code.load(self.at["bias"], block * y.block)
        image, top, left = self.position(first + t)
        down, across = self.op.dilations
        source = code.at(self.results, held * (self.schedule.batch * y.block) + t * y.block)
        apart = self.layout.result_point
        columns = [
            multiply(code, matrix, [code.load(source, (i * self.size + j) * apart) for i in range(self.size)])
            for j in range(self.size)
        ]
        for i in range(step):
            pixels = multiply(code, matrix, [columns[j][i] for j in range(self.size)])
            row = top + i * down
            with _below(code, y.height % (step * down) != 0, row, y.height):
                for j in range(step):
                    column = left + j * across
                    with _below(code, y.width % (step * across) != 0, column, y.width):
                        self.put(pixels[j], bias, image, block, row, column)

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
