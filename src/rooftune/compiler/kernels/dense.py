"""A row of numbers times a matrix: every weight is read once, so memory sets the time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Index
from rooftune.compiler.emit.work import Phase, begin, jobs, operands
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Dense, Floats
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]

VECTORS = 4
"""Vectors of results at once: enough streams for the memory, few enough for a small matrix to feed every thread."""


def _weights(op: Dense, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    """Weights by group of results and input, the inputs in the order in which they lie in the map."""
    x, y = maps[op.x], maps[op.y]
    matrix = numbers(op.weight) if op.transposed else numbers(op.weight).T
    lanes = y.block
    padded = np.zeros((-(-y.blocks // VECTORS) * VECTORS * lanes, matrix.shape[1]), np.float32)
    padded[: matrix.shape[0]] = matrix
    ordered = padded[:, _order(x)].reshape(-1, VECTORS * lanes, matrix.shape[1])
    bias = np.zeros(padded.shape[0], np.float32)
    if op.bias:
        bias[: matrix.shape[0]] = numbers(op.bias).reshape(-1)
    return {"weight": np.ascontiguousarray(ordered.transpose(0, 2, 1)).reshape(-1), "bias": bias}


def _emit(name: str, op: Dense, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One group of results of one image is a job."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", "weight", "bias", "y"], target)
    groups = -(-y.blocks // VECTORS)
    depth = x.channels * x.height * x.width
    with jobs(code, y.images * groups) as job:
        group, image = job // y.images, job % y.images
        weights = code.at(at["weight"], group * (depth * VECTORS * y.block))
        source = code.at(at["x"], image * x.image + x.origin)
        biases = [code.load(at["bias"], (group * VECTORS + v) * y.block) for v in range(VECTORS)]
        # two sets of sums, or each multiply-add would wait for the one before
        sums = [[code.variable(code.vector, bias) for bias in biases]]
        sums.append([code.variable(code.vector, 0.0) for _ in range(VECTORS)])

        def block(number: Index, channels: int) -> None:
            plane = code.at(source, number * x.plane)
            before = number * (x.block * x.height * x.width)
            with code.loop(0, x.height) as r, code.loop(0, x.width) as q:
                pixel = code.at(plane, r * x.row + q * x.block)
                taps = code.at(weights, ((r * x.width + q) * channels + before) * (VECTORS * y.block))
                for channel in range(channels):
                    value = code.broadcast(pixel, channel)
                    for v in range(VECTORS):
                        one = sums[channel % 2][v]
                        one.set(code.fma(value, code.load(taps, (channel * VECTORS + v) * y.block), one.get()))

        full, tail = divmod(x.channels, x.block)
        with code.loop(0, full) as number:
            block(number, x.block)
        if tail:
            block(full, tail)
        for v in range(VECTORS):
            with code.when("slt", group * VECTORS + v, y.blocks):
                value = code.arithmetic("fadd", sums[0][v].get(), sums[1][v].get())
                code.store(
                    activate(code, value, op.activation),
                    at["y"],
                    image * y.image + (group * VECTORS + v) * y.plane + y.origin,
                )
    return [Phase(code, operands(op, at))]


def _order(x: Map) -> list[int]:
    """Places in the flattened input (channel, row, column) of the numbers as the map holds them."""
    pixels = x.height * x.width
    return [
        (block * x.block + channel) * pixels + pixel
        for block in range(x.blocks)
        for pixel in range(pixels)
        for channel in range(x.last(block))
    ]


KERNELS = (Kernel(Dense, lambda op: "dense", _emit, lambda op: ("weight", "bias"), _weights),)
