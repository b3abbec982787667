"""A small constant matrix times vectors, with few instructions: what pairs of rows and columns share is done once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.operations import Floats

__all__ = ["multiply"]

_NOTHING = 1e-12


def multiply(code: Function, matrix: Floats, vectors: Sequence[Value]) -> list[Value]:
    """The rows of the matrix times the vectors.

    Transforms on points ±a have columns, and rows, that differ in some signs only: the sum and the difference of two
    vectors, or of two partial sums, serve both. What all of the difference is multiplied with goes into multiply-adds.
    """
    columns, values = _pair_columns(code, np.where(np.abs(matrix) < _NOTHING, 0.0, matrix), vectors)
    found: dict[int, Value] = {}
    for a in range(columns.shape[0]):
        if a in found:
            continue
        b = next(
            (b for b in range(a + 1, columns.shape[0]) if b not in found and _mirrored(columns[a], columns[b])), None
        )
        if b is None:
            found[a] = _combined(code, columns[a], values)
            continue
        same = np.isclose(columns[a], columns[b])
        even = _combined(code, np.where(same, columns[a], 0.0), values)
        odd = np.where(same, 0.0, columns[a])
        factor = _common(odd)
        part = _combined(code, odd / factor, values)
        if factor == 1:
            found[a], found[b] = code.arithmetic("fadd", even, part), code.arithmetic("fsub", even, part)
        else:
            found[a], found[b] = code.fma(part, factor, even), code.fma(part, -factor, even)
    return [found[row] for row in range(columns.shape[0])]


def _common(row: Floats) -> float:
    """What to take out of a row so that one of its entries is 1: nothing where one is already."""
    entries = row[np.flatnonzero(row)]
    return 1.0 if (np.abs(np.abs(entries) - 1) < _NOTHING).any() else float(entries[-1])


def _pair_columns(code: Function, matrix: Floats, vectors: Sequence[Value]) -> tuple[Floats, list[Value]]:
    """The matrix and vectors with mirrored columns replaced by those of the sum and of the difference."""
    columns: list[Floats] = []
    values: list[Value] = []
    used: set[int] = set()
    for j in range(matrix.shape[1]):
        if j in used:
            continue
        k = next(
            (k for k in range(j + 1, matrix.shape[1]) if k not in used and _mirrored(matrix[:, j], matrix[:, k])), None
        )
        if k is None:
            columns.append(matrix[:, j])
            values.append(vectors[j])
            continue
        used |= {j, k}
        same = np.isclose(matrix[:, j], matrix[:, k])
        columns += [np.where(same, matrix[:, j], 0.0), np.where(same, 0.0, matrix[:, j])]
        values += [code.arithmetic("fadd", vectors[j], vectors[k]), code.arithmetic("fsub", vectors[j], vectors[k])]
    return np.stack(columns, axis=1), values


def _mirrored(a: Floats, b: Floats) -> bool:
    """True where two rows differ in the signs of some entries, but not of all, and have enough to share."""
    if not np.allclose(np.abs(a), np.abs(b)) or np.count_nonzero(a) < 2:
        return False
    same, there = np.isclose(a, b), a != 0
    return bool((same & there).any() and (~same & there).any())


def _combined(code: Function, row: Floats, values: Sequence[Value]) -> Value:
    """One row: entries of ±1 first, the others by multiply-adds."""
    places = sorted(np.flatnonzero(row).tolist(), key=lambda i: abs(abs(row[i]) - 1) > _NOTHING)
    total: Value | None = None
    for i in places:
        factor = float(row[i])
        if total is None:
            total = values[i] if abs(factor - 1) < _NOTHING else code.arithmetic("fmul", values[i], factor)
        elif abs(factor - 1) < _NOTHING:
            total = code.arithmetic("fadd", total, values[i])
        elif abs(factor + 1) < _NOTHING:
            total = code.arithmetic("fsub", total, values[i])
        else:
            total = code.fma(values[i], factor, total)
    assert total is not None, "a row of zeros"
    return total
