"""A few nodes as a picture: boxes with operators, lines with values, in numbers the page puts into an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rooftune.report.layered import Layout, lay_out
from rooftune.report.node_line import NodeLine
from rooftune.report.reading import shortened, words

__all__ = ["Box", "Label", "Picture", "Wire", "draw"]

MOST_NODES = 24
"""Larger parts of a graph are shown as text only."""

_OP, _CONSTANTS, _NAME = 24, 24, 22  # characters shown
_WIDE, _NARROW = 7.3, 6.1  # pixels a character takes at 12 and at 10.5 pixels of height, a little generous
_GAP, _PITCH, _MARGIN = 34.0, 50.0, 4.0


@dataclass(frozen=True)
class Box:
    """An operator: left, top, size, its name, and its constants under it."""

    x: float
    y: float
    width: float
    height: float
    op: str
    constants: str
    title: str


@dataclass(frozen=True)
class Label:
    """The name of a value that comes from outside or goes there; `anchor` is SVG's text-anchor."""

    x: float
    y: float
    anchor: str
    text: str
    title: str


@dataclass(frozen=True)
class Wire:
    """A value on its way: an SVG path, and where its arrow ends."""

    path: str
    tip_x: float
    tip_y: float
    title: str


@dataclass(frozen=True)
class Picture:
    width: float
    height: float
    summary: str
    boxes: tuple[Box, ...]
    labels: tuple[Label, ...]
    wires: tuple[Wire, ...]


def draw(nodes: Sequence[NodeLine]) -> Picture | None:
    """The picture of some nodes; None for none, for too many, and where they depend on one another in a circle."""
    if not 0 < len(nodes) <= MOST_NODES:
        return None
    makers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.outputs:
            makers.setdefault(name, index)
    inner = {name for node in nodes for name in node.inputs if name in makers}
    sources = list(dict.fromkeys(n for node in nodes for n in node.inputs if n not in makers))
    sinks = [name for name in makers if name not in inner]
    vertex = {("in", name): len(nodes) + i for i, name in enumerate(sources)}
    vertex |= {("out", name): len(nodes) + len(sources) + i for i, name in enumerate(sinks)}
    edges: list[tuple[int, int, str]] = []
    for index, node in enumerate(nodes):
        edges += [(makers.get(n, vertex.get(("in", n), 0)), index, n) for n in dict.fromkeys(node.inputs)]
    edges += [(makers[name], vertex["out", name], name) for name in sinks]
    boxes = [_size(node) for node in nodes]
    names = [shortened(words(name), _NAME) for name in (*sources, *sinks)]
    widths = [*(width for width, _ in boxes), *(len(name) * _NARROW for name in names)]
    layout = lay_out(widths, [(a, b) for a, b, _ in edges], gap=_GAP, pitch=_PITCH)
    if layout is None:
        return None
    centres = [(x + _MARGIN, y + _MARGIN) for x, y in layout.centres]
    labels = []
    for place, name in enumerate((*sources, *sinks), len(nodes)):
        x, y = centres[place]
        coming = place < len(nodes) + len(sources)
        side = widths[place] / 2 if coming else -widths[place] / 2
        labels.append(Label(x + side, y, "end" if coming else "start", names[place - len(nodes)], words(name)[:400]))
    wires = _wires(edges, layout, centres, boxes, widths)
    return Picture(
        width=layout.width + 2 * _MARGIN,
        height=layout.height + 2 * _MARGIN,
        summary=", ".join(node.op for node in nodes)[:300],
        boxes=tuple(_box(node, *centres[i], *boxes[i]) for i, node in enumerate(nodes)),
        labels=tuple(labels),
        wires=wires,
    )


def _wires(
    edges: Sequence[tuple[int, int, str]],
    layout: Layout,
    centres: Sequence[tuple[float, float]],
    boxes: Sequence[tuple[float, float]],
    widths: Sequence[float],
) -> tuple[Wire, ...]:
    """Lines from the right of their maker to the left of their reader, those of one reader side by side."""
    bends = [[(x + _MARGIN, y + _MARGIN) for x, y in points] for points in layout.bends]
    arriving: dict[int, list[int]] = {}
    for position, (_, end, _) in enumerate(edges):
        arriving.setdefault(end, []).append(position)
    shares: dict[int, float] = {}
    for positions in arriving.values():
        positions.sort(key=lambda p: bends[p][-1][1] if bends[p] else centres[edges[p][0]][1])
        shares |= {p: (place + 1) / (len(positions) + 1) - 0.5 for place, p in enumerate(positions)}
    wires = []
    for position, (start, end, name) in enumerate(edges):
        (x0, y0), (x1, y1) = centres[start], centres[end]
        height = boxes[end][1] if end < len(boxes) else 0.0
        tip = (x1 - widths[end] / 2 - 2, y1 + shares[position] * height * 0.7)
        points = [(x0 + widths[start] / 2 + 2, y0), *bends[position], (tip[0] - 5, tip[1])]
        wires.append(Wire(_path(points), *tip, words(name)[:400]))
    return tuple(wires)


def _size(node: NodeLine) -> tuple[float, float]:
    op, constants = shortened(node.op, _OP), _constants(node)
    width = max(len(op) * _WIDE, len(constants) * _NARROW) + 18
    return max(width, 52.0), 38.0 if constants else 26.0


def _constants(node: NodeLine) -> str:
    return shortened(" ".join(words(c) for c in node.constants), _CONSTANTS)


def _box(node: NodeLine, x: float, y: float, width: float, height: float) -> Box:
    title = " ".join([node.op, *node.constants])[:400]
    op = shortened(node.op, _OP)
    return Box(x - width / 2, y - height / 2, width, height, op, _constants(node), words(title))


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A curve that leaves and arrives level."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        parts.append(f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
    return "".join(parts)
