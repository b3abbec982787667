"""The Fourier transform of tiles of vectors, by rows and then by columns, and how it lies in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rooftune.compiler.emit.fourier import Complex, real_inverse, real_transform, transform
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.operations import Floats

__all__ = ["Pairs", "Spectrum", "TileBuffer"]


class Spectrum:
    """The transform of N×N real numbers as N²/2 pairs of real numbers.

    Columns 1 to N/2 − 1 of frequencies are complex numbers, which are the pairs, column by column. Columns 0 and N/2
    are transforms of real numbers, of which rows 1 to N/2 − 1 are pairs; rows 0 and N/2 are real, and make two pairs
    of a number of column 0 and one of column N/2, which are `apart`.
    """

    def __init__(self, tile: int) -> None:
        self.tile, self.half = tile, tile // 2
        self.edge = (self.half - 1) * tile  # the first pair of column 0
        self.apart = self.edge + 2 * (self.half - 1)
        self.pairs = self.apart + 2

    def of(self, numbers: Floats) -> Floats:
        """Pairs [pair, part, ...] of numbers [..., rows, columns], which zeros fill up to a tile."""
        half = self.half
        found = np.fft.rfft2(numbers, s=(self.tile, self.tile))
        inner = np.moveaxis(found[..., 1:half], (-1, -2), (0, 1)).reshape(self.edge, *numbers.shape[:-2])
        edges = [np.moveaxis(found[..., 1:half, column], -1, 0) for column in (0, half)]
        ends = [found[..., row, 0].real + 1j * found[..., row, half].real for row in (0, half)]
        pairs = np.concatenate([inner, *edges, np.stack(ends)])
        return np.stack([pairs.real, pairs.imag], axis=1)


@dataclass(frozen=True)
class Pairs:
    """Where the pairs of a tile are: the first, floats to the next, and from one part of a pair to the other."""

    place: Value
    pair: int
    part: int

    def after(self, pairs: Index) -> Pairs:
        """The same from a later pair on."""
        return Pairs(self.place.code.at(self.place, pairs * self.pair), self.pair, self.part)

    def load(self, count: int) -> list[Complex]:
        code = self.place.code
        return [
            (code.load(self.place, i * self.pair), code.load(self.place, i * self.pair + self.part))
            for i in range(count)
        ]

    def store(self, values: Sequence[Complex]) -> None:
        code = self.place.code
        for i, parts in enumerate(values):
            for part, value in enumerate(parts):
                code.store(value, self.place, i * self.pair + part * self.part)


@dataclass(frozen=True)
class TileBuffer:
    """A tile whose rows are transformed and whose columns are not: N rows of N vectors of `block` numbers.

    Of every row: the two real bins, then the complex ones.
    """

    code: Function
    spectrum: Spectrum
    place: Value
    block: int

    @staticmethod
    def line(tile: int, block: int) -> int:
        """Floats from one row to the next: one vector more than a row has, or all of a column would be in the same few
        places of the cache."""
        return (tile + 1) * block

    @property
    def _line(self) -> int:
        return self.line(self.spectrum.tile, self.block)

    def put_row(self, row: Index, values: Sequence[Value | None]) -> None:
        """Transform a row of numbers, None for zero, and keep it."""
        first, between, middle = real_transform(self.code, values)
        into = self.code.at(self.place, row * self._line)
        for place, value in enumerate([first, middle, *(part for pair in between for part in pair)]):
            self.code.store(value, into, place * self.block)

    def row(self, row: Index) -> list[Value]:
        """A row of numbers again, times N."""
        line = self.code.at(self.place, row * self._line)
        found = [self._load(line, place) for place in range(self.spectrum.tile)]
        return real_inverse(self.code, found[0], list(zip(found[2::2], found[3::2], strict=True)), found[1])

    def transform(self, rows: int, into: Pairs) -> None:
        """The transform of the tile, where no row but the first `rows` has been put: all others are zero."""
        code, half = self.code, self.spectrum.half
        nothing: list[None] = [None] * (self.spectrum.tile - rows)
        with code.loop(0, 2) as edge:
            first, between, middle = real_transform(code, [*self._real_column(edge, rows), *nothing])
            for place, value in zip(self._ends(into, edge), (first, middle), strict=True):
                code.store(value, place)
            into.after(edge * (half - 1) + self.spectrum.edge).store(between)
        with code.loop(0, half - 1) as column:
            values = transform(code, [*self._complex_column(column, rows), *nothing])
            into.after(column * self.spectrum.tile).store(values)

    def inverse(self, rows: int, pairs: Pairs) -> None:
        """Keep the first `rows` rows of the tile that these are the transform of, times N."""
        code, half = self.code, self.spectrum.half
        with code.loop(0, 2) as edge:
            first, middle = (code.load(place) for place in self._ends(pairs, edge))
            between = pairs.after(edge * (half - 1) + self.spectrum.edge).load(half - 1)
            self._put_real_column(edge, real_inverse(code, first, between, middle)[:rows])
        with code.loop(0, half - 1) as column:
            values = pairs.after(column * self.spectrum.tile).load(self.spectrum.tile)
            self._put_complex_column(column, transform(code, values, inverse=True)[:rows])

    def correlate(self, rows: int, pairs: Pairs) -> None:
        """Multiply the tile's transform with the conjugate of another, and keep the first `rows` rows, times N."""
        code, half, tile = self.code, self.spectrum.half, self.spectrum.tile
        with code.loop(0, 2) as edge:
            first, between, middle = real_transform(code, self._real_column(edge, tile))
            ends = [
                code.arithmetic("fmul", value, code.load(place))
                for value, place in zip((first, middle), self._ends(pairs, edge), strict=True)
            ]
            between = self._products(between, pairs.after(edge * (half - 1) + self.spectrum.edge).load(half - 1))
            self._put_real_column(edge, real_inverse(code, ends[0], between, ends[1])[:rows])
        with code.loop(0, half - 1) as column:
            values = transform(code, self._complex_column(column, tile))
            values = self._products(values, pairs.after(column * tile).load(tile))
            self._put_complex_column(column, transform(code, values, inverse=True)[:rows])

    def _products(self, values: Sequence[Complex], factors: Sequence[Complex]) -> list[Complex]:
        """Numbers times the conjugates of others."""
        code, found = self.code, []
        for (a, b), (c, d) in zip(values, factors, strict=True):
            minus = code.emit(a.kind, f"fneg {a.kind} {a.name}")
            real = code.fma(b, d, code.arithmetic("fmul", a, c))
            found.append((real, code.fma(minus, d, code.arithmetic("fmul", b, c))))
        return found

    def _ends(self, pairs: Pairs, edge: Value) -> list[Value]:
        """Where the two real numbers of column 0 or N/2 are."""
        apart = self.spectrum.apart
        return [self.code.at(pairs.place, edge * pairs.part + number * pairs.pair) for number in (apart, apart + 1)]

    def _load(self, place: Value, index: Index) -> Value:
        return self.code.load(place, index * self.block, f"<{self.block} x float>")

    def _real_column(self, edge: Index, rows: int) -> list[Value]:
        start = self.code.at(self.place, edge * self.block)
        return [self._load(self.code.at(start, i * self._line), 0) for i in range(rows)]

    def _put_real_column(self, edge: Index, values: Sequence[Value]) -> None:
        for i, value in enumerate(values):
            self.code.store(value, self.place, edge * self.block + i * self._line)

    def _complex_column(self, column: Index, rows: int) -> list[Complex]:
        start = self.code.at(self.place, (column + 1) * (2 * self.block))
        lines = [self.code.at(start, i * self._line) for i in range(rows)]
        return [(self._load(line, 0), self._load(line, 1)) for line in lines]

    def _put_complex_column(self, column: Index, values: Sequence[Complex]) -> None:
        Pairs(self.code.at(self.place, (column + 1) * (2 * self.block)), self._line, self.block).store(values)
