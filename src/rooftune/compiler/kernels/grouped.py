"""Grouped convolution: every output channel reads the input channels of its own group only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.tile import Grid, Tile, even, tile_cost
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Convolution, Floats
from rooftune.compiler.target import Target
from rooftune.verdicts import Refusal

__all__ = ["Grouped"]

_MOST_PHASES = 8
"""Different vectors of output channels that code is written for; their patterns of input channels repeat."""


@dataclass(frozen=True)
class Grouped:
    """A tile of the result: `columns` pixels of a row times `vectors` blocks of output channels.

    Where a vector of output channels lies within one group, the group's input channels are broadcast one by one. A
    vector that reaches into several groups takes them one after the other, with the lanes of the others left alone.
    Or every lane is given an input channel of its own group, so that one multiply-add serves all groups: `shuffled`
    channels of every group at a time, as many as there are registers for their weights.
    """

    columns: int
    vectors: int
    shuffled: int = 0

    @staticmethod
    def takes(op: Convolution) -> Refusal | None:
        """Why this kernel cannot run the convolution; None where it can."""
        return None if op.groups > 1 else Refusal("it has one group only", op.nodes[0])

    @staticmethod
    def space(op: Convolution, x: Map, y: Map, target: Target) -> Iterator[Grouped]:
        """Tiles that fit into the registers; shuffled ones where few patterns of input channels repeat."""
        sizes = _Sizes.of(op, x, y)
        found = set()
        if sizes.outs < y.block and sizes.repeated() is not None:
            for kept in (target.registers * 3 // 8, target.registers // 6):
                count = -(-sizes.ins // max(1, min(sizes.ins, kept // op.kernel[1])))  # turns
                shuffled = -(-sizes.ins // count)
                found.add(Grouped(even(y.width, target.sums - shuffled * op.kernel[1] - 2), 1, shuffled))
        else:
            found.add(Grouped(even(y.width, target.sums - 1), 1))
            for vectors in (2, 3, 4):
                if sizes.outs % (vectors * y.block) == 0:
                    found.add(Grouped(even(y.width, (target.sums - 1) // vectors), vectors))
        yield from sorted(found, key=lambda s: s.cost(op, x, y))

    def cost(self, op: Convolution, x: Map, y: Map) -> float:
        """Instructions per pixel and block of output channels, about."""
        sizes = _Sizes.of(op, x, y)
        spent = tile_cost(self.columns, self.vectors, y.width, self.vectors)
        taps = op.kernel[0] * op.kernel[1] * sizes.ins
        if self.shuffled:
            used = max(1.0, op.kernel[1] / op.strides[1])  # times a shuffled pixel is multiplied
            return taps * (spent + 0.5 / used)
        return taps * spent * sizes.meetings(y.blocks) / y.blocks

    def chunks(self, ins: int) -> list[range]:
        """Numbers of a group's input channels that are shuffled and multiplied together."""
        return [range(start, min(start + self.shuffled, ins)) for start in range(0, ins, self.shuffled)]

    @staticmethod
    def halo(op: Convolution, x: Map, y: Map) -> Halo:
        """Zeros the input needs around it."""
        return op.pads

    def weight_floats(self, op: Convolution, x: Map, y: Map) -> int:
        """How many floats `weights` gives."""
        sizes = _Sizes.of(op, x, y)
        vectors = y.blocks if self.shuffled else sizes.meetings(y.blocks // self.vectors, self.vectors) * self.vectors
        return (vectors * sizes.ins * op.kernel[0] * op.kernel[1] + y.blocks) * y.block

    def weights(self, op: Convolution, weight: Floats, bias: Floats | None, x: Map, y: Map) -> dict[str, Floats]:
        """Weights in the order they are read, and one bias per output channel."""
        sizes, wide = _Sizes.of(op, x, y), self.vectors * y.block
        padded = np.zeros((y.blocks * y.block, *weight.shape[1:]), np.float32)
        padded[: weight.shape[0]] = weight
        if self.shuffled:
            by_vector = padded.reshape(y.blocks, y.block, sizes.ins, *op.kernel).transpose(0, 3, 4, 2, 1)
            parts = [one[..., c.start : c.stop, :].reshape(-1) for one in by_vector for c in self.chunks(sizes.ins)]
            return {"weight": np.concatenate(parts), "bias": y.filled(bias)}
        parts = []
        for first in range(0, y.blocks * y.block, wide):
            for group in sizes.groups(first, wide):
                of_group = np.arange(first, first + wide) // sizes.outs == group
                mine = np.where(of_group[:, None, None, None], padded[first : first + wide], np.float32(0))
                runs = mine.reshape(wide, sizes.ins // sizes.run, sizes.run, *op.kernel)
                parts.append(runs.transpose(1, 3, 4, 2, 0).reshape(-1))
        return {"weight": np.concatenate(parts), "bias": y.filled(bias)}

    def emit(self, name: str, op: Convolution, x: Map, y: Map, residual: Map | None, target: Target) -> list[Phase]:
        """One row of one tile of output channels is a job."""
        pointers = ["x", "weight", "bias", "y", *(["residual"] if residual is not None else [])]
        code, at = begin(name, pointers, target)
        wide = y.blocks // self.vectors
        with jobs(code, y.images * wide * y.height) as job:
            image, within = job // (wide * y.height), job % (wide * y.height)
            number, row = within // y.height, within % y.height
            block = number * self.vectors
            added = None
            if residual is not None:
                place = image * residual.image + block * residual.plane + row * residual.row + residual.origin
                added = Grid(code.at(at["residual"], place), residual.block, residual.plane)
            before = x.origin - op.pads[0] * x.row - op.pads[1] * x.block
            into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
            work = _Row(
                code,
                op,
                x,
                y,
                number,
                source=code.at(at["x"], image * x.image + row * (op.strides[0] * x.row) + before),
                weights=at["weight"],
                bias=code.at(at["bias"], block * y.block),
                into=Grid(into, y.block, y.plane),
                added=added,
            )
            if self.shuffled:
                work.shuffled(self.columns, self.chunks(work.sizes.ins))
            else:
                work.broadcast(self.columns, self.vectors)
        return [Phase(code, operands(op, pointers))]


@dataclass(frozen=True)
class _Sizes:
    """Input and output channels of a group, numbers in a block, and how many channels there are."""

    ins: int
    outs: int
    lanes: int
    channels: int

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, op: Convolution, x: Map, y: Map) -> _Sizes:
        return cls(x.channels // op.groups, y.channels // op.groups, y.block, y.channels)

    @property
    def run(self) -> int:
        """Input channels that are side by side in a block, wherever a group begins."""
        return math.gcd(self.ins, self.lanes)

    def groups(self, first: int, wide: int) -> range:
        """The groups that some neighbouring output channels belong to."""
        return range(first // self.outs, min(first + wide - 1, self.channels - 1) // self.outs + 1)

    def meetings(self, count: int, vectors: int = 1) -> int:
        """Pairs of a group and a tile of output channels that meet, in the first `count` tiles."""
        wide = vectors * self.lanes
        return sum(len(self.groups(first, wide)) for first in range(0, count * wide, wide))

    def repeated(self) -> tuple[int, int] | None:
        """After how many vectors of output channels, and blocks of input channels, patterns repeat.

        None where that is too many, or where the groups of a vector have more than two blocks of input channels.
        """
        vectors = math.lcm(self.lanes, self.outs) // self.lanes
        while vectors * self.lanes // self.outs * self.ins % self.lanes:
            vectors *= 2
        if vectors > _MOST_PHASES or any(len(self.sources(phase)) > 2 for phase in range(vectors)):
            return None
        return vectors, vectors * self.lanes // self.outs * self.ins // self.lanes

    def pattern(self, phase: int, slot: int) -> list[int]:
        """For every lane of a vector the input channel that is number `slot` of its group."""
        return [(phase * self.lanes + lane) // self.outs * self.ins + slot for lane in range(self.lanes)]

    def sources(self, phase: int) -> list[int]:
        """Blocks of input channels that a vector reads."""
        return sorted({c // self.lanes for slot in range(self.ins) for c in self.pattern(phase, slot)})


@dataclass(frozen=True)
class _Row:
    """One row of the result for a tile of output channels."""

    code: Function
    op: Convolution
    x: Map
    y: Map
    number: Index
    source: Value
    weights: Value
    bias: Value
    into: Grid
    added: Grid | None

    @property
    def sizes(self) -> _Sizes:
        return _Sizes.of(self.op, self.x, self.y)

    def _tiles(self, columns: int) -> Iterator[tuple[Index, int]]:
        """Where the tiles of the row begin, and their columns."""
        whole = self.y.width // columns * columns
        with self.code.loop(0, whole, columns) as column:
            yield column, columns
        if self.y.width % columns:
            yield whole, self.y.width % columns

    def _store(self, tile: Tile, column: Index) -> None:
        added = None if self.added is None else self.added.after(column)
        tile.store(self.into.after(column), self.op.activation, added)

    def _pixel(self, column: Index) -> Value:
        return self.code.at(self.source, column * (self.op.strides[1] * self.x.block))

    # input channels one by one

    def broadcast(self, columns: int, vectors: int) -> None:
        code, op, y, sizes, wide = self.code, self.op, self.y, self.sizes, vectors * self.y.block
        each = sizes.ins * op.kernel[0] * op.kernel[1] * wide  # weights of one group
        first = self.number * wide
        alone = sizes.outs % wide == 0
        begins = self._met(wide)
        start = first // sizes.outs
        end = start + 1 if alone else code.least(first + (wide - 1), y.channels - 1) // sizes.outs + 1
        for column, count in self._tiles(columns):
            tile = Tile(code, count, [code.load(self.bias, v * y.block) for v in range(vectors)])
            pixel = self._pixel(column)

            def group(number: Index, tile: Tile = tile, pixel: Value = pixel) -> None:
                weights = code.at(self.weights, (begins + number - start) * each)
                lanes = None if alone else self._lanes(number * sizes.outs - first)
                self._group(tile, pixel, number, weights, vectors, lanes)

            if alone:
                group(start)
            else:
                with code.loop(start, end) as number:
                    group(number)
            self._store(tile, column)

    def _met(self, wide: int) -> Index:
        """How many pairs of a tile and a group come before this tile's: a pair begins where either begins."""
        first = self.number * wide
        outs = self.sizes.outs
        both = math.lcm(wide, outs)
        return self.number + (first + (outs - 1)) // outs - (first + (both - 1)) // both

    def _lanes(self, first: Index) -> Value:
        """The lanes of a vector that belong to the group whose output channels begin at lane `first`."""
        code, sizes = self.code, self.sizes
        kind = f"<{sizes.lanes} x i64>"
        begin = first.name if isinstance(first, Value) else str(first)
        one = code.emit(kind, f"insertelement {kind} poison, i64 {begin}, i64 0")
        zeros = f"<{sizes.lanes} x i32> zeroinitializer"
        begins = code.emit(kind, f"shufflevector {kind} {one.name}, {kind} poison, {zeros}")
        numbers = ", ".join(f"i64 {lane}" for lane in range(sizes.lanes))
        # a lane before the group is far behind it as an unsigned number
        behind = code.emit(kind, f"sub {kind} <{numbers}>, {begins.name}")
        return code.emit(f"<{sizes.lanes} x i1>", f"icmp ult {kind} {behind.name}, splat (i64 {sizes.outs})")

    def _group(self, tile: Tile, pixel: Value, group: Index, weights: Value, vectors: int, lanes: Value | None) -> None:
        """Add the products with all input channels of a group."""
        code, op, x, y, sizes = self.code, self.op, self.x, self.y, self.sizes
        run, per_tap = sizes.run, sizes.run * vectors * y.block
        with code.loop(0, sizes.ins // run) as number:
            channel = group * sizes.ins + number * run
            block = code.at(pixel, channel // x.block * x.plane + channel % x.block)
            of_run = code.at(weights, number * (op.kernel[0] * op.kernel[1] * per_tap))
            with code.loop(0, op.kernel[0]) as r, code.loop(0, op.kernel[1]) as q:
                numbers = code.at(block, r * (op.dilations[0] * x.row) + q * (op.dilations[1] * x.block))
                taps = code.at(of_run, (r * op.kernel[1] + q) * per_tap)
                tile.add_channels(numbers, op.strides[1] * x.block, run, Grid(taps, vectors * y.block, y.block), lanes)

    # a vector of input channels at once

    def shuffled(self, columns: int, chunks: list[range]) -> None:
        code, x, sizes = self.code, self.x, self.sizes
        repeated = sizes.repeated()
        assert repeated is not None
        vectors, blocks = repeated
        for phase in range(min(vectors, self.y.blocks)):
            with code.when("eq", self.number % vectors, phase):
                base = self.number // vectors * blocks
                # lanes that are filling may belong to groups that do not exist
                sources = {b: code.least(base + b, x.blocks - 1) * x.plane for b in sizes.sources(phase)}
                for column, count in self._tiles(columns):
                    self._shuffled_tile(column, count, chunks, phase, sources)

    def _shuffled_tile(
        self, column: Index, columns: int, chunks: list[range], phase: int, sources: dict[int, Index]
    ) -> None:
        code, op, x, y, sizes = self.code, self.op, self.x, self.y, self.sizes
        tile = Tile(code, columns, [code.load(self.bias)])
        pixel = self._pixel(column)
        weights = code.at(self.weights, self.number * (op.kernel[0] * op.kernel[1] * sizes.ins * y.block))
        shuffles = _Shuffles(code, sizes, phase)
        # which columns a pixel of the input serves, and with which tap
        served: dict[int, list[tuple[int, int]]] = {}
        for c in range(columns):
            for q in range(op.kernel[1]):
                served.setdefault(c * op.strides[1] + q * op.dilations[1], []).append((c, q))
        for chunk in chunks:
            of_chunk = code.at(weights, chunk.start * op.kernel[0] * op.kernel[1] * y.block)
            with code.loop(0, op.kernel[0]) as r:
                line = code.at(pixel, r * (op.dilations[0] * x.row))
                taps = code.at(of_chunk, r * (op.kernel[1] * len(chunk) * y.block))
                w = [
                    [code.load(taps, (q * len(chunk) + i) * y.block) for i in range(len(chunk))]
                    for q in range(op.kernel[1])
                ]
                for place, users in sorted(served.items()):
                    blocks = {b: code.load(line, at + place * x.block) for b, at in sources.items()}
                    for i, slot in enumerate(chunk):
                        numbers = shuffles.made(slot, blocks)
                        for c, q in users:
                            tile.add(c, 0, numbers, w[q][i])
        self._store(tile, column)


@dataclass(frozen=True)
class _Shuffles:
    """How the lanes of blocks of input channels get to those of the output channels."""

    code: Function
    sizes: _Sizes
    phase: int

    def made(self, slot: int, blocks: dict[int, Value]) -> Value:
        """In every lane the input channel that is number `slot` of its group."""
        code, lanes = self.code, self.sizes.lanes
        channels = self.sizes.pattern(self.phase, slot)
        numbers = list(blocks)
        first, second = blocks[numbers[0]], blocks[numbers[-1]]
        places = ", ".join(f"i32 {numbers.index(c // lanes) * lanes + c % lanes}" for c in channels)
        kind = code.vector
        return code.emit(kind, f"shufflevector {kind} {first.name}, {kind} {second.name}, <{lanes} x i32> <{places}>")
