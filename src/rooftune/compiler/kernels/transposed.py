"""Transposed convolution: every pixel of the result gathers the input pixels whose windows reach it.

With stride s, row i of the result takes the taps r for which i + pad − r·dilation is a multiple of s, from the row of
the input at that multiple. Rows with the same remainder of i + pad take the same taps, and are an ordinary convolution
with a part of the kernel; columns likewise. Nothing is added up in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.tile import Grid, Tile, even, tile_shapes
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Floats, Transposed
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


@dataclass(frozen=True)
class _Axis:
    """Rows, or columns: size of the kernel, stride, what is cut in front, dilation, and the sizes of both maps."""

    kernel: int
    stride: int
    pad: int
    dilation: int
    x: int
    y: int

    @property
    def shared(self) -> int:
        return math.gcd(self.stride, self.dilation)

    @property
    def tap_step(self) -> int:
        """From a tap that a pixel of the result takes to the next."""
        return self.stride // self.shared

    @property
    def pixel_step(self) -> int:
        """From the input pixel of such a tap back to that of the next."""
        return self.dilation // self.shared

    @property
    def before(self) -> int:
        """Pixels in front of the input that are read."""
        return max(0, ((self.kernel - 1) * self.dilation - self.pad) // self.stride)

    @property
    def behind(self) -> int:
        """Pixels behind the input that are read."""
        return max(0, (self.y - 1 + self.pad) // self.stride - (self.x - 1))

    def taps(self, code: Function, place: Index) -> tuple[Index, Index, Index]:
        """For a pixel of the result: its first tap, how many it takes, and the first one's pixel of the input, counted
        from the first that is read."""
        moved = place + self.pad
        rest = moved % self.stride
        # tap · dilation ≡ rest (mod stride): every `tap_step`-th tap, or none where the shared factor does not divide
        first = rest // self.shared * pow(self.pixel_step, -1, self.tap_step) % self.tap_step
        count = (self.kernel - first + (self.tap_step - 1)) // self.tap_step
        if self.shared > 1:
            count = count * (1 - code.least(rest % self.shared, 1))
        return first, count, (moved + self.before * self.stride - first * self.dilation) // self.stride


def _axes(op: Transposed, x: Map, y: Map) -> tuple[_Axis, _Axis]:
    sizes = zip(op.kernel, op.strides, op.pads, op.dilations, (x.height, x.width), (y.height, y.width), strict=True)
    rows, columns = (_Axis(*one) for one in sizes)
    return rows, columns


def _halo(op: Transposed, maps: Mapping[str, Map]) -> Halo:
    """Zeros the input needs around it."""
    rows, columns = _axes(op, maps[op.x], maps[op.y])
    return rows.before, columns.before, rows.behind, columns.behind


def _by_channel(op: Transposed, x: Map, y: Map) -> bool:
    return op.groups > 1 and op.groups == x.channels == y.channels


def _weights(op: Transposed, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    """Weights by block of output channels, block of input channels, row, column and input channel."""
    x, y = maps[op.x], maps[op.y]
    weight = numbers(op.weight)  # [in, out / groups, rows, columns]
    bias = y.filled(numbers(op.bias) if op.bias else None)
    if _by_channel(op, x, y):
        padded = np.zeros((y.blocks * y.block, *op.kernel), np.float32)
        padded[: y.channels] = weight[:, 0]
        ordered = padded.reshape(y.blocks, y.block, *op.kernel).transpose(0, 2, 3, 1)
        return {"weight": np.ascontiguousarray(ordered).reshape(-1), "bias": bias}
    padded = np.zeros((x.channels, y.blocks * y.block, *op.kernel), np.float32)
    padded[:, : y.channels] = weight
    by_block = padded.reshape(-1, y.blocks, y.block, *op.kernel).transpose(1, 3, 4, 0, 2)
    parts = [one[:, :, s : s + x.block].reshape(-1) for one in by_block for s in range(0, x.channels, x.block)]
    return {"weight": np.concatenate(parts), "bias": bias}


def _shape(op: Transposed, x: Map, y: Map, target: Target) -> tuple[int, int]:
    """Columns, a stride apart, and vectors of the register tile."""
    width = max(1, y.width // op.strides[1])
    return (even(width, target.sums - 2), 1) if _by_channel(op, x, y) else tile_shapes(width, y.blocks, target)[0]


def _emit(name: str, op: Transposed, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of the result for a tile of output channels is a job."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", "weight", "bias", "y"], target)
    wide, most = _shape(op, x, y, target)
    full, rest = divmod(y.blocks, most)
    groups = full + bool(rest)
    rows, columns = _axes(op, x, y)
    depth = (1 if _by_channel(op, x, y) else x.channels) * op.kernel[0] * op.kernel[1] * y.block
    with jobs(code, y.images * groups * y.height) as job:
        image, within = job // (groups * y.height), job % (groups * y.height)
        group, row = within // y.height, within % y.height
        first = group * most
        place = image * x.image + x.origin - rows.before * x.row - columns.before * x.block
        if _by_channel(op, x, y):
            place = place + first * x.plane
        into = code.at(at["y"], image * y.image + first * y.plane + row * y.row + y.origin)
        work = _Row(
            code,
            op,
            x,
            y,
            columns,
            source=code.at(at["x"], place),
            weights=code.at(at["weight"], first * depth),
            depth=depth,
            bias=code.at(at["bias"], first * y.block),
            into=Grid(into, op.strides[1] * y.block, y.plane),
            taps=rows.taps(code, row),
        )
        for vectors, present, comparison in ((most, full, "slt"), (rest, rest, "eq")):
            if present:
                with code.when(comparison, group, full):
                    work.emit(wide, vectors)
    return [Phase(code, operands(op, at))]


@dataclass(frozen=True)
class _Row:
    """One row of the result, for a tile of output channels.

    taps   of the row: the first, how many, and the first one's row of the input
    depth  weights of a block of output channels
    """

    code: Function
    op: Transposed
    x: Map
    y: Map
    columns: _Axis
    source: Value
    weights: Value
    depth: int
    bias: Value
    into: Grid
    taps: tuple[Index, Index, Index]

    def emit(self, columns: int, vectors: int) -> None:
        code, stride, width = self.code, self.op.strides[1], self.y.width
        with code.loop(0, min(stride, width)) as rest:
            of_column = self.columns.taps(code, rest)
            count = (width - rest + (stride - 1)) // stride
            with code.loop(0, count, columns) as place:
                # the last tile does again what the one before has done, where there are too few columns for it
                start = code.least(place, count - columns)
                tile = Tile(code, columns, [code.load(self.bias, v * self.y.block) for v in range(vectors)])
                self._add(tile, of_column, start)
                into = Grid(code.at(self.into.place, rest * self.y.block), self.into.pixel, self.into.block)
                tile.store(into.after(start), self.op.activation)

    def _add(self, tile: Tile, of_column: tuple[Index, Index, Index], start: Index) -> None:
        """All products: blocks of input channels, then the taps of the row and of the column."""
        code, x, y, op = self.code, self.x, self.y, self.op
        first_row, rows, row = self.taps
        first_column, columns, column = of_column
        steps = _axes(op, x, y)
        corner = code.at(self.source, row * x.row + (column + start) * x.block)

        def block(number: Index, channels: int) -> None:
            pixel = code.at(corner, number * x.plane)
            weights = code.at(self.weights, number * (x.block * op.kernel[0] * op.kernel[1] * y.block))
            with code.loop(0, rows) as r, code.loop(0, columns) as q:
                back = r * (steps[0].pixel_step * x.row) + q * (steps[1].pixel_step * x.block)
                tap = (first_row + r * steps[0].tap_step) * op.kernel[1] + first_column + q * steps[1].tap_step
                taps = code.at(weights, tap * (channels * y.block))
                pixels = code.at(pixel, 0 - back)
                if _by_channel(op, x, y):
                    weight = code.load(taps)
                    for c in range(tile.columns):
                        tile.add(c, 0, code.load(pixels, c * x.block), weight)
                else:
                    tile.add_channels(pixels, x.block, channels, Grid(taps, y.block, self.depth))

        if _by_channel(op, x, y):
            block(0, 1)
            return
        full, tail = divmod(x.channels, x.block)
        with code.loop(0, full) as number:
            block(number, x.block)
        if tail:
            block(full, tail)


KERNELS = (Kernel(Transposed, lambda op: "transposed", _emit, lambda op: ("weight", "bias"), _weights, _halo),)
