"""Views of all parts of a Split are one view before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from rooftune.graph.types import ir_dim
from rooftune.rewrite.axes import axes_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.channels import shuffle_at
from rooftune.rewrite.edit import Workplace, exchange
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.noop import sizes_known
from rooftune.rewrite.rule import Example, Rule
from rooftune.rewrite.rules.merge_reshapes import MergeReshapes
from rooftune.rewrite.rules.merge_squeeze_unsqueeze import MergeSqueezeUnsqueeze
from rooftune.rewrite.rules.merge_transposes import MergeTransposes
from rooftune.rewrite.rules.merge_views_around_transpose import MergeViewsAroundTranspose
from rooftune.rewrite.rules.remove_split_concat_pair import RemoveSplitConcatPair
from rooftune.rewrite.rules.turn_transpose_into_reshape import TurnTransposeIntoReshape
from rooftune.rewrite.sweep import Sweep
from rooftune.rewrite.views import VIEWS, dims_of, only_reader, parted, squeezed, unsqueezed, view_target
from rooftune.verdicts import Exactness, Refusal

Dims = tuple[Any, ...]

EARLIER: tuple[Rule, ...] = (
    RemoveSplitConcatPair(),
    MergeSqueezeUnsqueeze(),
    MergeReshapes(),
    MergeTransposes(),
    MergeViewsAroundTranspose(),
    TurnTransposeIntoReshape(),
)
"""Rules that would find less to take away after the move. It waits until they are done."""


@dataclass(frozen=True)
class _Cut:
    """A value seen in another shape and cut along an axis of that shape.

    axes  for a view that only adds or removes axes: which; else `target`, that of a Reshape
    """

    shape: Dims
    axis: int
    sizes: list[int]
    axes: tuple[int, ...] | None
    target: list[int] | None


class MoveViewBeforeSplit(Sweep):
    """Replace a view of every part of a Split, such as a Reshape, by one view before the Split.

    Attention cuts one product into queries, keys and values and then takes each of them apart into heads.
    """

    exactness = Exactness.BITWISE

    def run(self, place: Workplace) -> list[Applied]:
        if place.opset < 5:  # Reshape has its target as an attribute
            return []
        found: list[Applied] = []
        for graph in (place.ir.graph, *place.ir.graph.subgraphs()):
            for node in list(graph):
                views = _views(node) if node.op_type == "Split" and node.domain == "" else None
                if views is None or _waits(node, views):
                    continue
                cut = _cut(node, views)
                if cut is not None:
                    found.append(_moved(place, self.name, node, views, cut))
                else:
                    place.refuse(self.name, node, Refusal("no one view before it gives the shapes of all its parts"))
        return found

    examples = (
        Example(
            "heads of queries, keys and values",
            """(float[1,7,24] x) => (float[1,7,2,4] y) <int64[3] s = {8,8,8}, int64[4] t = {1,7,2,4}>
            { a, b, c = Split<axis=-1>(x, s) q = Reshape(a, t) k = Reshape(b, t) v = Reshape(c, t)
              p = Mul(q, k) y = Add(p, v) }""",
            "v1 = Reshape(x, #)\nq, k, v = Split<axis=2>(v1, #)\np = Mul(q, k)\ny = Add(p, v)",
        ),
        Example(
            "unequal parts, with open dimensions",
            """(float[N,M,12] x) => (float[N,M,2,4] y, float[N,M,1,4] z)
            <int64[2] s = {8,4}, int64[4] t = {0,0,-1,4}, int64[4] u = {0,0,1,4}>
            { a, b = Split<axis=2>(x, s) q = Reshape(a, t) z = Reshape(b, u) y = Relu(q) }""",
            "v1 = Reshape(x, #)\nq, z = Split<axis=2>(v1, #)\ny = Relu(q)",
        ),
        Example(
            "parts that lose their image axes",
            """(float[N,6,1,1] x) => (float[N,4] y, float[N,2] z)
            { a, b = Split<axis=1, split=[4,2]>(x) y = Flatten(a) z = Flatten(b) }""",
            "v1 = Reshape(x, #)\ny, z = Split<axis=1, split=[4,2]>(v1)",
            opset=11,
        ),
        Example(
            "an axis of size one stays what it is",
            """(float[N,M,6] x) => (float[N,1,M,3] y) <int64[2] s = {3,3}, int64[1] axis = {1}>
            { a, b = Split<axis=2>(x, s) c = Unsqueeze(a, axis) d = Unsqueeze(b, axis) y = Sub(c, d) }""",
            "v1 = Unsqueeze(x, #)\nc, d = Split<axis=3>(v1, #)\ny = Sub(c, d)",
        ),
        Example(
            "parts taken apart in unlike ways",
            """(float[2,8] x) => (float[2,2,2] y, float[2,1,4] z)
            <int64[2] s = {4,4}, int64[3] t = {2,2,2}, int64[3] u = {2,1,4}>
            { a, b = Split<axis=1>(x, s) y = Reshape(a, t) z = Reshape(b, u) }""",
            refused="no one view before it gives the shapes of all its parts",
        ),
        Example(
            "a part with another reader keeps its view",
            """(float[2,8] x, float[2,8] w) => (float[2,2,2] y, float[2,4] z, float[2,2,2] p)
            <int64[2] s = {4,4}, int64[3] t = {2,2,2}>
            { a, b = Split<axis=1>(x, s) c = Reshape(a, t) d = Reshape(b, t) y = Add(c, d)
              e, f = Split<axis=1>(w, s) g = Reshape(e, t) h = Reshape(f, t) p = Add(g, h) z = Neg(f) }""",
            """v1 = Reshape(x, #)
            c, d = Split<axis=1>(v1, #)
            y = Add(c, d)
            e, f = Split<axis=1>(w, #)
            g = Reshape(e, #)
            h = Reshape(f, #)
            p = Add(g, h)
            z = Neg(f)""",
        ),
    )


def _moved(place: Workplace, rule: str, split: ir.Node, views: list[ir.Node], cut: _Cut) -> Applied:
    x = split.inputs[0]
    assert x is not None
    new = Builder(split, place.names, place.repair, place.opset)
    if cut.axes is not None:
        write = squeezed if views[0].op_type == "Squeeze" else unsqueezed
        whole = write(new, x, cut.axes)
    else:
        whole = new.node("Reshape", [x, new.integers(cut.target or ())])[0]
    whole.type, whole.shape = x.type, ir.Shape([ir_dim(d) for d in cut.shape])
    made = parted(new, whole, cut.axis, cut.sizes)
    return exchange(place, rule, new, [v.outputs[0] for v in views], made, [split, *views])


def _views(split: ir.Node) -> list[ir.Node] | None:
    """The views that alone read the parts of a Split; None where a part is read in another way."""
    found = []
    for part in split.outputs:
        view = _reader(part, *VIEWS)
        if view is None or view.inputs[0] is not part or not sizes_known(view):
            return None
        found.append(view)
    return found if len(found) > 1 and sizes_known(split) else None


def _reader(value: ir.Value, *ops: str) -> ir.Node | None:
    """The only reader of a value, where it is one of these standard operators in the same graph."""
    maker = value.producer()
    node = next((n for n, _ in value.uses()), None) if only_reader(value) else None
    if node is None or maker is None or node.graph is not maker.graph:
        return None
    return node if node.domain == "" and node.op_type in ops else None


def _waits(split: ir.Node, views: Sequence[ir.Node]) -> bool:
    """True where another rule will soon take the Split or something behind a view away."""
    near = [split]
    for view in views:
        readers = [n for n, _ in view.outputs[0].uses()]
        near += [*readers, *(n for reader in readers for v in reader.outputs for n, _ in v.uses())]
    for node in near:
        if any((node.domain, node.op_type) in rule.roots and isinstance(rule.find(node), Match) for rule in EARLIER):
            return True
    return any(node.op_type == "Reshape" and node.domain == "" and shuffle_at(node) for node in near)


def _cut(split: ir.Node, views: Sequence[ir.Node]) -> _Cut | None:
    """How to view what the Split reads, so that a Split of it gives what the views give."""
    x, parts, shapes = dims_of(split.inputs[0]), _all_dims(split.outputs), _all_dims([v.outputs[0] for v in views])
    if not x or parts is None or shapes is None or len({len(s) for s in shapes}) > 1:
        return None
    axis = int(attribute(split, "axis", 0)) % len(x)
    sizes, first = [p[axis] for p in parts], shapes[0]
    if not all(isinstance(s, int) for s in (*sizes, x[axis])) or sum(sizes) != x[axis]:
        return None

    def fits(place: int) -> bool:
        """Only this axis tells the parts apart, and as much stands before it as before the axis that is cut now."""
        return math.prod(first[:place]) == math.prod(x[:axis]) and all(
            isinstance(s[place], int) and (s[:place], s[place + 1 :]) == (first[:place], first[place + 1 :])
            for s in shapes
        )

    places = [place for place in range(len(first)) if fits(place)]
    if not places:
        return None
    # with sizes of one there is a choice: whole parts rather than pieces, and then the axis where it stands
    place = min(places, key=lambda p: ([s[p] for s in shapes] != sizes, abs(p - axis)))
    lengths = [int(s[place]) for s in shapes]
    shape = (*first[:place], sum(lengths), *first[place + 1 :])
    axes, target = _added_or_removed(views, x, shape), view_target(shape, x)
    return None if shape == x or (axes is None and target is None) else _Cut(shape, place, lengths, axes, target)


def _all_dims(values: Sequence[ir.Value]) -> list[Dims] | None:
    found = [d for d in map(dims_of, values) if d is not None]
    return found if len(found) == len(values) else None


def _added_or_removed(views: Sequence[ir.Node], x: Dims, shape: Dims) -> tuple[int, ...] | None:
    """The axes that all views add or remove, where that makes `shape` of x: Transposes can move past such views."""
    op, axes = views[0].op_type, axes_of(views[0])
    if op not in ("Squeeze", "Unsqueeze") or axes is None or any(v.op_type != op or axes_of(v) != axes for v in views):
        return None
    longer, shorter = (x, shape) if op == "Squeeze" else (shape, x)
    return axes if tuple(d for i, d in enumerate(longer) if i not in axes) == shorter else None
