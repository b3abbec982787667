"""Parts of a graph that only carry channels about: where each channel comes from, who needs it, the shortest way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.rewrite.channels import Shuffle, shuffle_at, why_no_absorber, why_no_maker
from rooftune.rewrite.match import attribute
from rooftune.rewrite.views import dims_of

__all__ = ["Piece", "Region", "Way", "regions", "shortest_way"]

Channels = NDArray[np.int64]
"""One row per channel: the number of its source, and its place there."""


@dataclass
class Region:
    """Concats, Splits and channel shuffles that hang together, in running order.

    sources    values that come in, `ends` values that others read; `carried` says by id of a value which channels it
               has
    """

    nodes: list[ir.Node] = field(default_factory=list)
    sources: list[ir.Value] = field(default_factory=list)
    ends: list[ir.Value] = field(default_factory=list)
    carried: dict[int, Channels] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """Channels of one source that stand together and go the same ways."""

    source: int
    channels: tuple[int, ...]
    ends: frozenset[int]


@dataclass(frozen=True)
class Way:
    """The same channels carried with fewer nodes.

    pieces  of every source, in the order in which they are to stand in it
    joined  for every end, the pieces it is made of; `orders` the old place of each of its new channels
    """

    pieces: list[list[Piece]]
    joined: list[list[Piece]]
    orders: list[NDArray[np.int64]]


def regions(graph: Iterable[ir.Node]) -> Iterator[Region]:
    """The routing parts of a graph that hold at least one shuffle."""
    routers: dict[int, tuple[ir.Node, Shuffle | None]] = {}
    for node in graph:
        shuffle = shuffle_at(node) if node.domain == "" and node.op_type == "Reshape" else None
        if shuffle is not None or _joins_or_parts(node):
            routers[id(node)] = (node, shuffle)
    owner: dict[int, int] = {}

    def root(key: int) -> int:
        while owner.setdefault(key, key) != key:
            owner[key] = owner[owner[key]]
            key = owner[key]
        return key

    for key, (node, shuffle) in routers.items():
        for value in _inputs(node, shuffle):
            maker = value.producer()
            if maker is not None and id(maker) in routers:
                owner[root(id(maker))] = root(key)
    found: dict[int, list[int]] = {}
    for key in routers:
        found.setdefault(root(key), []).append(key)
    for keys in found.values():
        members = [routers[key] for key in keys]
        if any(shuffle is not None for _, shuffle in members):
            region = _region(members)
            if region is not None:
                yield region


def _joins_or_parts(node: ir.Node) -> bool:
    if node.domain != "" or node.op_type not in ("Concat", "Split"):
        return False
    dims = dims_of(node.inputs[0])
    axis = attribute(node, "axis", 0)
    if dims is None or len(dims) < 2 or axis % len(dims) != 1:
        return False
    around = [*node.inputs, *node.outputs] if node.op_type == "Concat" else [node.inputs[0], *node.outputs]
    return all((d := dims_of(v)) is not None and isinstance(d[1], int) for v in around)


def _inputs(node: ir.Node, shuffle: Shuffle | None) -> list[ir.Value]:
    if shuffle is not None:
        return [shuffle.x]
    inputs = node.inputs if node.op_type == "Concat" else node.inputs[:1]
    return [v for v in inputs if v is not None]


def _region(members: list[tuple[ir.Node, Shuffle | None]]) -> Region | None:
    """Follow every channel through the members, which stand in running order."""
    region = Region()
    inside = {id(n) for node, shuffle in members for n in (shuffle.nodes if shuffle else (node,))}
    for node, shuffle in members:
        parts = []
        for value in _inputs(node, shuffle):
            if id(value) not in region.carried:
                width: Any = (dims_of(value) or (0, 0))[1]
                number = len(region.sources)
                region.sources.append(value)
                region.carried[id(value)] = np.stack([np.full(width, number), np.arange(width)], 1)
            parts.append(region.carried[id(value)])
        together = np.concatenate(parts)
        if shuffle is not None:
            region.carried[id(node.outputs[0])] = together[shuffle.order]
        else:
            start = 0
            for output in node.outputs:
                width = (dims_of(output) or (0, 0))[1]
                region.carried[id(output)] = together[start : start + width]
                start += width
            if start != len(together):
                return None  # the file says other sizes than the run would give
        region.nodes += reversed(shuffle.nodes) if shuffle else [node]
        for output in node.outputs:
            if output.is_graph_output() or any(id(n) not in inside for n, _ in output.uses()):
                region.ends.append(output)
    return region


def shortest_way(region: Region) -> Way | None:
    """Each source cut at most once, each end joined once; None where orders forbid it or nothing is won."""
    if any(v.is_graph_output() for v in region.ends):
        return None
    inside = {id(n) for n in region.nodes}
    free_ends = [why_no_absorber(v, inside) is None for v in region.ends]
    places: list[dict[tuple[int, int], int]] = []
    for end in region.ends:
        channels = [(int(s), int(c)) for s, c in region.carried[id(end)]]
        places.append({channel: place for place, channel in enumerate(channels)})
        if len(places[-1]) != len(channels):
            return None  # a channel that is needed twice
    pieces = [_pieces(number, value, places, free_ends) for number, value in enumerate(region.sources)]
    joined, orders = [], []
    for number, end_places in enumerate(places):
        parts = [p for of_source in pieces for p in of_source if number in p.ends]
        if not free_ends[number]:
            parts.sort(key=lambda p: end_places[p.source, p.channels[0]])
        order = np.array([end_places[p.source, c] for p in parts for c in p.channels], np.int64)
        if not free_ends[number] and (order != np.arange(len(order))).any():
            return None
        joined.append(parts)
        orders.append(order)
    way = Way(pieces, joined, orders)
    return way if _effort(way) < _effort_now(region) else None


def _pieces(
    number: int, source: ir.Value, places: list[dict[tuple[int, int], int]], free_ends: list[bool]
) -> list[Piece]:
    """Runs of channels that go the same ways; a source whose order is free brings them together."""
    width: Any = (dims_of(source) or (0, 0))[1]
    ways = [frozenset(e for e, known in enumerate(places) if (number, c) in known) for c in range(width)]
    channels = list(range(width))
    if why_no_maker(source) is None:
        fixed = [e for e, free in enumerate(free_ends) if not free]

        def rank(channel: int) -> tuple[list[int], list[int], int]:
            """By the ends that need the channel, then by its place in the ends whose order is fixed."""
            return sorted(ways[channel]), [places[e].get((number, channel), -1) for e in fixed], channel

        channels.sort(key=rank)
    found: list[Piece] = []
    for channel in channels:
        last = found[-1] if found else None
        if last is not None and last.ends == ways[channel]:
            found[-1] = Piece(number, (*last.channels, channel), last.ends)
        else:
            found.append(Piece(number, (channel,), ways[channel]))
    return found


def _effort(way: Way) -> tuple[int, int]:
    """Nodes, and channels they move."""
    cut = [sum(len(p.channels) for p in of_source) for of_source in way.pieces if len(of_source) > 1]
    put = [sum(len(p.channels) for p in parts) for parts in way.joined if len(parts) > 1]
    return len(cut) + len(put), sum(cut) + sum(put)


def _effort_now(region: Region) -> tuple[int, int]:
    widths = [(dims_of(v) or (0, 0))[1] for n in region.nodes if n.op_type != "Reshape" for v in n.outputs]
    return len(region.nodes), sum(int(w) for w in widths)
