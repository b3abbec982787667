"""Laying out a small graph in columns, from left to right: longest paths decide the column, neighbours the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Layout", "lay_out"]

_SWEEPS = 4

Edge = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in pixels.

    centres  of the vertices, in their order; `columns` says in which column each stands
    bends    for every edge, in their order, the points at which it enters and leaves the columns between its ends
    """

    width: float
    height: float
    centres: tuple[tuple[float, float], ...]
    columns: tuple[int, ...]
    bends: tuple[tuple[tuple[float, float], ...], ...]


def lay_out(widths: Sequence[float], edges: Sequence[Edge], *, gap: float, pitch: float) -> Layout | None:
    """Place vertices of these widths, `gap` between columns and `pitch` between rows; None where edges form a cycle."""
    columns = _columns(len(widths), edges)
    if columns is None:
        return None
    grid: list[list[int]] = [[] for _ in range(max(columns, default=0) + 1)]
    for vertex, column in enumerate(columns):
        grid[column].append(vertex)
    # an edge over several columns gets a waypoint in each, so that it goes around what stands there
    links: list[Edge] = []
    waypoints: list[list[int]] = []
    count = len(widths)
    for start, end in edges:
        between = list(range(count, count + max(0, columns[end] - columns[start] - 1)))
        count += len(between)
        for step, point in enumerate(between, 1):
            grid[columns[start] + step].append(point)
        chain = [start, *between, end]
        links += pairwise(chain)
        waypoints.append(between)
    _order(grid, links, count)
    across = [max((widths[v] for v in column if v < len(widths)), default=0.0) for column in grid]
    tallest = max(map(len, grid), default=0)
    places: dict[int, tuple[float, float]] = {}
    passes: dict[int, tuple[tuple[float, float], ...]] = {}
    x = 0.0
    for standing, width in zip(grid, across, strict=True):
        top = (tallest - len(standing)) * pitch / 2
        for row, vertex in enumerate(standing):
            y = top + (row + 0.5) * pitch
            places[vertex] = (x + width / 2, y)
            passes[vertex] = ((x, y), (x + width, y))
        x += width + gap
    return Layout(
        width=max(0.0, x - gap),
        height=tallest * pitch,
        centres=tuple(places[vertex] for vertex in range(len(widths))),
        columns=tuple(columns),
        bends=tuple(tuple(p for point in points for p in passes[point]) for points in waypoints),
    )


def _columns(count: int, edges: Sequence[Edge]) -> list[int] | None:
    """The longest path to every vertex; what nothing leads to stands just before what it leads to."""
    following: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for start, end in edges:
        following[start].append(end)
        waiting[end] += 1
    columns = [0] * count
    first = [vertex for vertex in range(count) if waiting[vertex] == 0]
    ready, done = list(first), 0
    while ready:
        vertex = ready.pop()
        done += 1
        for end in following[vertex]:
            columns[end] = max(columns[end], columns[vertex] + 1)
            waiting[end] -= 1
            if waiting[end] == 0:
                ready.append(end)
    if done < count:
        return None
    for vertex in first:
        if following[vertex]:
            columns[vertex] = min(columns[end] for end in following[vertex]) - 1
    return columns


def _order(grid: list[list[int]], links: Sequence[Edge], count: int) -> None:
    """Sort every column by the middle of its neighbours, to and fro, which takes most crossings out."""
    before: list[list[int]] = [[] for _ in range(count)]
    behind: list[list[int]] = [[] for _ in range(count)]
    for start, end in links:
        before[end].append(start)
        behind[start].append(end)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = before if forward else behind
        place = {v: row - (len(column) - 1) / 2 for column in grid for row, v in enumerate(column)}
        for column in grid if forward else grid[::-1]:

            def middle(vertex: int) -> float:
                found = [place[v] for v in neighbours[vertex]]  # noqa: B023
                return sum(found) / len(found) if found else place[vertex]  # noqa: B023

            column.sort(key=middle)
            for row, vertex in enumerate(column):
                place[vertex] = row - (len(column) - 1) / 2
