"""How many comparisons it takes to order things."""

from __future__ import annotations

from rooftune.quantities import Count, Dim

__all__ = ["to_insert", "to_sort"]


def to_insert(kept: Dim) -> Count:
    """Comparisons that find a newcomer's place among `kept` ordered elements: ⌈log2(kept + 1)⌉."""
    return _ceil_log2(kept + 1)


def to_sort(elements: Dim) -> Count:
    """Comparisons of a merge sort, at most: n · ⌈log2 n⌉."""
    return elements * _ceil_log2(elements)


def _ceil_log2(n: Dim) -> Count:
    if isinstance(n, int):
        return max(n - 1, 0).bit_length()
    from sympy import ceiling, log

    return ceiling(log(n, 2))
