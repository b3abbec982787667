"""The transforms of Winograd's convolution: polynomials evaluated at a few points, multiplied there, interpolated."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from rooftune.compiler.operations import Floats

__all__ = ["POINTS", "matrices"]

POINTS = {
    2: (0.0, 1.0, -1.0),
    4: (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0)),
    6: (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0),
}
"""Where the polynomials are evaluated, by the tile of the result; infinity comes besides. ±√½, ±√2 halve the error
that 0, ±1, ±2 have."""


@lru_cache(maxsize=8)
def matrices(tile: int) -> tuple[Floats, Floats, Floats]:
    """Output, weight and input transform of F(tile, 3): y = A·((G·g) ⊙ (B·d)) (Winograd 1980; Toom and Cook).

    The factor of every point stands in A, where it costs nothing beside the sums that are there: rows of G are
    plain powers, which programs that transform weights on their way need few instructions for.
    """
    points, size = POINTS[tile], tile + 2
    out, weight, data = np.zeros((tile, size)), np.zeros((size, 3)), np.zeros((size, size))
    for j, point in enumerate(points):
        others = [p for i, p in enumerate(points) if i != j]
        scale = math.prod(point - p for p in others)
        sign = math.copysign(1.0, scale) if point == 0 else 1.0
        out[:, j] = [sign * point**i / scale for i in range(tile)]
        weight[j] = [point**i for i in range(3)]
        data[j, : size - 1] = sign * np.poly(others)[::-1]
    out[-1, -1] = weight[-1, -1] = 1.0
    data[-1] = np.poly(points)[::-1]
    return out, weight, data
