"""Convolution as it is written: sums of a few columns and a few vectors of channels stay in registers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.tile import Grid, Tile, tile_cost, tile_shapes
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Convolution, Floats
from rooftune.compiler.target import Target
from rooftune.verdicts import Refusal

__all__ = ["Direct"]


@dataclass(frozen=True)
class Direct:
    """A tile of the result: `columns` pixels of a row times `vectors` blocks of output channels.

    Weights lie as they are read: group of output channels, block of input channels, row, column, input channel.
    """

    columns: int
    vectors: int

    @staticmethod
    def takes(op: Convolution) -> Refusal | None:
        """Why this kernel cannot run the convolution; None where it can."""
        return Refusal("grouped convolutions have a kernel of their own", op.nodes[0]) if op.groups != 1 else None

    @staticmethod
    def space(op: Convolution, x: Map, y: Map, target: Target) -> Iterator[Direct]:
        """Tiles that fill the registers."""
        for columns, vectors in tile_shapes(y.width, y.blocks, target):
            yield Direct(columns, vectors)

    def cost(self, y: Map) -> float:
        """Instructions per useful multiply-accumulate, about."""
        return tile_cost(self.columns, self.vectors, y.width, y.blocks)

    @staticmethod
    def halo(op: Convolution, x: Map, y: Map) -> Halo:
        """Zeros the input needs around it."""
        return op.pads

    def weights(self, op: Convolution, weight: Floats, bias: Floats | None, x: Map, y: Map) -> dict[str, Floats]:
        """Weights in the order they are read, and one bias per output channel."""
        lanes = y.block
        padded = np.zeros((y.blocks * lanes, *weight.shape[1:]), np.float32)
        padded[: weight.shape[0]] = weight
        parts = []
        for first in range(0, y.blocks, self.vectors):
            group = padded[first * lanes : min(first + self.vectors, y.blocks) * lanes]
            starts = range(0, x.channels, x.block)
            parts += [group[:, s : s + x.block].transpose(2, 3, 1, 0).reshape(-1) for s in starts]
        return {"weight": np.concatenate(parts), "bias": y.filled(bias)}

    def weight_floats(self, op: Convolution, x: Map, y: Map) -> int:
        """How many floats `weights` gives."""
        return y.blocks * y.block * (x.channels * op.kernel[0] * op.kernel[1] + 1)

    def emit(self, name: str, op: Convolution, x: Map, y: Map, residual: Map | None, target: Target) -> list[Phase]:
        """The code, and what it is given."""
        pointers = ["x", "weight", "bias", "y", *(["residual"] if residual is not None else [])]
        code, at = begin(name, pointers, target)
        full, rest = divmod(y.blocks, self.vectors)
        groups = full + bool(rest)
        depth = x.channels * op.kernel[0] * op.kernel[1] * y.block  # weights per block of output channels
        with jobs(code, y.images * groups * y.height) as job:
            image, within = job // (groups * y.height), job % (groups * y.height)
            group, row = within // y.height, within % y.height
            first = group * self.vectors
            place = _Place(
                x=code.at(at["x"], image * x.image + row * (op.strides[0] * x.row) + x.origin - _before(op, x)),
                weight=code.at(at["weight"], first * depth),
                bias=code.at(at["bias"], first * y.block),
                y=code.at(at["y"], image * y.image + first * y.plane + row * y.row + y.origin),
                residual=None
                if residual is None
                else code.at(
                    at["residual"],
                    image * residual.image + first * residual.plane + row * residual.row + residual.origin,
                ),
            )
            row_code = _Row(code, op, x, y, residual, place)
            if full and rest:
                with code.when("slt", group, full):
                    row_code.emit(self.columns, self.vectors)
                with code.when("eq", group, full):
                    row_code.emit(self.columns, rest)
            else:
                row_code.emit(self.columns, self.vectors if full else rest)
        return [Phase(code, operands(op, pointers))]


def _before(op: Convolution, x: Map) -> int:
    """From the first pixel of the map back to the first that the window at (0, 0) reads."""
    return op.pads[0] * x.row + op.pads[1] * x.block


@dataclass(frozen=True)
class _Place:
    """Where this job reads and writes."""

    x: Value
    weight: Value
    bias: Value
    y: Value
    residual: Value | None


@dataclass(frozen=True)
class _Row:
    """One row of the result for a group of output channels."""

    code: Function
    op: Convolution
    x: Map
    y: Map
    residual: Map | None
    place: _Place

    def emit(self, columns: int, vectors: int) -> None:
        whole = self.y.width // columns * columns
        if whole:
            with self.code.loop(0, whole, columns) as column:
                self.tile(column, columns, vectors)
        if self.y.width % columns:
            self.tile(whole, self.y.width % columns, vectors)

    def tile(self, column: Index, columns: int, vectors: int) -> None:
        code, op, x, y = self.code, self.op, self.x, self.y
        tile = Tile(code, columns, [code.load(self.place.bias, v * y.block) for v in range(vectors)])
        start = code.at(self.place.x, column * (op.strides[1] * x.block))
        per_block = x.block * op.kernel[0] * op.kernel[1] * vectors * y.block
        full, tail = divmod(x.channels, x.block)

        def block(number: Index, channels: int) -> None:
            source = code.at(start, number * x.plane)
            weight = code.at(self.place.weight, number * per_block)
            with code.loop(0, op.kernel[0]) as r:
                rows = code.at(source, r * (op.dilations[0] * x.row))
                of_row = code.at(weight, r * (op.kernel[1] * channels * vectors * y.block))
                with code.loop(0, op.kernel[1]) as q:
                    pixel = code.at(rows, q * (op.dilations[1] * x.block))
                    taps = code.at(of_row, q * (channels * vectors * y.block))
                    tile.add_channels(pixel, op.strides[1] * x.block, channels, Grid(taps, vectors * y.block, y.block))

        with code.loop(0, full) as number:
            block(number, x.block)
        if tail:
            block(full, tail)
        added = None
        if self.residual is not None and self.place.residual is not None:
            added = Grid(self.place.residual, y.block, self.residual.plane).after(column)
        tile.store(Grid(self.place.y, y.block, y.plane).after(column), op.activation, added)
