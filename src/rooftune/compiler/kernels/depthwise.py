"""Depthwise convolution: every channel has a kernel of its own, so a vector of channels is multiplied by a vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Convolution, Floats
from rooftune.compiler.target import Target
from rooftune.verdicts import Refusal

__all__ = ["Depthwise"]

_UNROLLED = 25
"""Kernels of at most this many taps are written out; larger ones loop."""


@dataclass(frozen=True)
class Depthwise:
    """`columns` pixels of a row at a time."""

    columns: int

    @staticmethod
    def takes(op: Convolution, channels: int, out: int) -> Refusal | None:
        """Why this kernel cannot run the convolution; None where it can."""
        fits = op.groups == channels == out and op.groups > 1
        return None if fits else Refusal("not one kernel for every channel", op.nodes[0])

    @staticmethod
    def space(op: Convolution, x: Map, y: Map, target: Target) -> Iterator[Depthwise]:
        """Columns that leave registers for the kernel, or do not."""
        taps = op.kernel[0] * op.kernel[1]
        free = target.sums - (taps if taps < target.sums // 2 else 2)
        for wanted in (free, free // 2, 4):
            columns = max(1, min(y.width, wanted))
            yield Depthwise(-(-y.width // -(-y.width // columns)))

    @staticmethod
    def halo(op: Convolution, x: Map, y: Map) -> Halo:
        """Zeros the input needs around it."""
        return op.pads

    def weights(self, op: Convolution, weight: Floats, bias: Floats | None, x: Map, y: Map) -> dict[str, Floats]:
        """Weights by block of channels, row and column."""
        padded = np.zeros((y.blocks * y.block, *op.kernel), np.float32)
        padded[: weight.shape[0]] = weight[:, 0]
        ordered = padded.reshape(y.blocks, y.block, *op.kernel).transpose(0, 2, 3, 1)
        return {"weight": ordered.reshape(-1), "bias": y.filled(bias)}

    def weight_floats(self, op: Convolution, x: Map, y: Map) -> int:
        """How many floats `weights` gives."""
        return y.blocks * y.block * (op.kernel[0] * op.kernel[1] + 1)

    def emit(self, name: str, op: Convolution, x: Map, y: Map, residual: Map | None, target: Target) -> list[Phase]:
        """The code, and what it is given."""
        pointers = ["x", "weight", "bias", "y", *(["residual"] if residual is not None else [])]
        code, at = begin(name, pointers, target)
        before = x.origin - op.pads[0] * x.row - op.pads[1] * x.block
        with jobs(code, y.images * y.blocks * y.height) as job:
            image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
            block, row = within // y.height, within % y.height
            source = code.at(at["x"], image * x.image + block * x.plane + row * (op.strides[0] * x.row) + before)
            taps = code.at(at["weight"], block * (op.kernel[0] * op.kernel[1] * y.block))
            into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
            added = None
            if residual is not None:
                added = code.at(
                    at["residual"],
                    image * residual.image + block * residual.plane + row * residual.row + residual.origin,
                )
            bias = code.load(at["bias"], block * y.block)
            whole = y.width // self.columns * self.columns
            tile = _Tile(code, op, x, y, source, taps, into, added, bias)
            with code.loop(0, whole, self.columns) as column:
                tile.emit(column, self.columns)
            if y.width % self.columns:
                tile.emit(whole, y.width % self.columns)
        return [Phase(code, operands(op, pointers))]


@dataclass(frozen=True)
class _Tile:
    """Neighbouring pixels of a row, for one block of channels."""

    code: Function
    op: Convolution
    x: Map
    y: Map
    source: Value
    taps: Value
    into: Value
    added: Value | None
    bias: Value

    def emit(self, column: Index, columns: int) -> None:
        code, op, x, y = self.code, self.op, self.x, self.y
        sums = [code.variable(code.vector, self.bias) for _ in range(columns)]
        start = code.at(self.source, column * (op.strides[1] * x.block))

        def row(pixels: Value, taps: Value) -> None:
            for q in range(op.kernel[1]):
                tap = code.load(taps, q * y.block)
                for c in range(columns):
                    pixel = code.load(pixels, (c * op.strides[1] + q * op.dilations[1]) * x.block)
                    sums[c].set(code.fma(pixel, tap, sums[c].get()))

        if op.kernel[0] * op.kernel[1] <= _UNROLLED:
            for number in range(op.kernel[0]):
                row(
                    code.at(start, number * op.dilations[0] * x.row),
                    code.at(self.taps, number * op.kernel[1] * y.block),
                )
        else:
            with code.loop(0, op.kernel[0]) as r:
                row(
                    code.at(start, r * (op.dilations[0] * x.row)),
                    code.at(self.taps, r * (op.kernel[1] * y.block)),
                )
        target = code.at(self.into, column * y.block)
        for c in range(columns):
            value = sums[c].get()
            if self.added is not None:
                value = code.arithmetic("fadd", value, code.load(code.at(self.added, column * y.block), c * y.block))
            code.store(activate(code, value, op.activation), target, c * y.block)
