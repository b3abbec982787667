"""Sums that stay in registers while loops run over what is summed: some pixels of a row, some vectors of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.operations import Activation
from rooftune.compiler.target import Target

__all__ = ["Grid", "Tile", "even", "tile_cost", "tile_shapes"]


def tile_shapes(width: int, blocks: int, target: Target) -> list[tuple[int, int]]:
    """Pairs of columns and vectors that fill the registers, for rows of so many pixels and blocks; the cheapest first.

    A weight is loaded for all columns, a number of the input for all vectors.
    """
    found = [(even(width, (target.sums - 1) // vectors), vectors) for vectors in range(1, min(blocks, 4) + 1)]
    return sorted(found, key=lambda shape: tile_cost(shape[0], shape[1], width, blocks))


def tile_cost(columns: int, vectors: int, width: int, blocks: int) -> float:
    """Instructions per useful multiply-add, about: weights loaded and registers left idle cost."""
    whole, rest = divmod(width, columns)
    tiles = [columns] * whole + ([rest] if rest else [])
    spent = 0.0
    for held, times in ((vectors, blocks // vectors), (blocks % vectors, 1)):
        if held:
            # eight sums hide the latency of a multiply-add; weights cost half a slot each
            spent += times * sum(max(c * held, 8) + 0.5 * held for c in tiles)
    return spent / (width * blocks)


def even(width: int, most: int) -> int:
    """Columns of a tile, `most` at most, so that the last tile of a row is about as full as the others."""
    return -(-width // -(-width // max(1, min(width, most))))


@dataclass(frozen=True)
class Grid:
    """Vectors in memory, one per pixel and block of channels: the first, floats to the next pixel and block."""

    place: Value
    pixel: int
    block: int

    def after(self, pixels: Index) -> Grid:
        """The same from a later pixel on."""
        return Grid(self.place.code.at(self.place, pixels * self.pixel), self.pixel, self.block)


class Tile:
    """Sums of `columns` pixels by as many vectors of channels as there are numbers to start with.

    Every sum is a chain of multiply-adds: eight or more of them hide the latency of one.
    """

    def __init__(self, code: Function, columns: int, starts: Sequence[Value | float]) -> None:
        self.code, self.columns, self.vectors = code, columns, len(starts)
        self._sums = [[code.variable(code.vector, start) for start in starts] for _ in range(columns)]

    def add(self, column: int, vector: int, a: Value, b: Value, lanes: Value | None = None) -> None:
        """Add a product to one sum; only to those lanes that are true, where some are given."""
        one = self._sums[column][vector]
        before = one.get()
        after = self.code.fma(a, b, before)
        if lanes is not None:
            picked = f"select {lanes.kind} {lanes.name}, {after.kind} {after.name}, {before.kind} {before.name}"
            after = self.code.emit(after.kind, picked)
        one.set(after)

    def add_channels(self, pixels: Value, apart: int, channels: int, weights: Grid, lanes: Value | None = None) -> None:
        """Add numbers of every pixel, each times the weights of its channel.

        pixels    the first pixel's first number; `apart` floats to the next pixel
        channels  numbers of a pixel, side by side
        weights   by channel (`pixel` apart) and vector (`block` apart)
        """
        code = self.code
        for channel in range(channels):
            w = [code.load(weights.place, channel * weights.pixel + v * weights.block) for v in range(self.vectors)]
            for column in range(self.columns):
                value = code.broadcast(pixels, column * apart + channel)
                for vector in range(self.vectors):
                    self.add(column, vector, value, w[vector], lanes)

    def sum(self, column: int, vector: int) -> Value:
        """One sum as it is now."""
        return self._sums[column][vector].get()

    def store(self, into: Grid, activation: Activation, residual: Grid | None = None) -> None:
        """Write all sums, another value added and the activation applied where there are such."""
        code = self.code
        for vector in range(self.vectors):
            for column in range(self.columns):
                value = self.sum(column, vector)
                if residual is not None:
                    place = vector * residual.block + column * residual.pixel
                    value = code.arithmetic("fadd", value, code.load(residual.place, place))
                value = activate(code, value, activation)
                code.store(value, into.place, vector * into.block + column * into.pixel)
