"""Slices that cut a value into neighbouring parts are one Split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.graph.small_values import SmallValues
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.edit import Workplace, exchange
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import attribute
from rooftune.rewrite.quantisation import dequantized
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep
from rooftune.rewrite.views import dims_of, parted
from rooftune.verdicts import Exactness, Refusal

Range = tuple[int, int]
"""Where a part begins and ends along its axis."""


class MergeSlicesIntoSplit(Sweep):
    """Replace Slices that together take all of a value once, part beside part along one axis, by one Split.

    PyTorch's TorchScript exporter writes `chunk` and `split` so. The value may have other readers as well.
    """

    exactness = Exactness.BITWISE

    def run(self, place: Workplace) -> list[Applied]:
        if place.opset < 2:  # the first Split parts nothing but floats
            return []
        found: list[Applied] = []
        values = SmallValues()
        for graph in (place.ir.graph, *place.ir.graph.subgraphs()):
            order = {node: number for number, node in enumerate(graph)}
            seen: set[ir.Value] = set()
            for node in order:
                x = node.inputs[0] if node.op_type == "Slice" and node.domain == "" else None
                if x is None or x in seen:
                    continue
                seen.add(x)
                if values.of(x) is not None or dequantized(x) is not None:
                    continue  # other rules do more with Slices of sizes, and between quantised values
                for axis, parts in _parts(x, graph).items():
                    whole = (dims_of(x) or ())[axis]
                    while len(chosen := _chain(parts, whole)) > 1:
                        cover = {part: parts.pop(part) for part in chosen}
                        first = min(cover.values(), key=lambda node: order[node])
                        found.append(_merged(place, self.name, first, axis, cover))
                    if len(parts) > 1:
                        why = Refusal(f"the Slices of {x.name} along axis {axis} overlap or leave a gap")
                        place.refuse(self.name, next(iter(parts.values())), why)
        return found

    examples = (
        Example(
            "queries, keys and values",
            """(float[N,5,6] x) => (float[N,5,2] y) <int64[1] a = {0}, int64[1] b = {2}, int64[1] c = {4},
             int64[1] end = {9223372036854775807}, int64[1] axis = {-1}>
            { q = Slice(x, a, b, axis) v = Slice(x, c, end, axis) k = Slice(x, b, c, axis)
              p = Mul(q, k) y = Add(p, v) }""",
            "q, k, v = Split<axis=2>(x, #)\np = Mul(q, k)\ny = Add(p, v)",
        ),
        Example(
            "unequal parts, one counted from behind and one an output of the graph",
            """(float[2,5] x) => (float[2,3] y, float[2,5] z) <int64[1] zero = {0}, int64[1] cut = {-2},
             int64[1] end = {9}, int64[1] axis = {1}>
            { y = Slice(x, zero, cut, axis) t = Slice(x, cut, end, axis) u = Relu(t) z = Concat<axis=1>(u, y) }""",
            "y, t = Split<axis=1>(x, #)\nu = Relu(t)\nz = Concat<axis=1>(u, y)",
        ),
        Example(
            "as attributes",
            """(float[4,2] x) => (float[2,2] y)
            { a = Slice<axes=[0], starts=[0], ends=[2]>(x) b = Slice<starts=[-2], ends=[9]>(x) y = Sub(a, b) }""",
            "a, b = Split<axis=0, split=[2,2]>(x)\ny = Sub(a, b)",
            opset=9,
        ),
        Example(
            "what overlaps is left as it is",
            """(float[6] x) => (float[3] y, float[6] z) <int64[1] zero = {0}, int64[1] two = {2}, int64[1] three = {3},
             int64[1] five = {5}, int64[1] end = {6}>
            { a = Slice(x, zero, three) b = Slice(x, three, end) c = Slice(x, two, five) s = Add(a, b) y = Mul(s, c)
              z = Neg(x) }""",
            "a, b = Split<axis=0>(x, #)\nc = Slice(x, #, #)\ns = Add(a, b)\ny = Mul(s, c)\nz = Neg(x)",
        ),
        Example(
            "a gap",
            """(float[6] x) => (float[2] y) <int64[1] zero = {0}, int64[1] two = {2}, int64[1] four = {4},
             int64[1] end = {6}>
            { a = Slice(x, zero, two) b = Slice(x, four, end) y = Add(a, b) }""",
            refused="overlap or leave a gap",
        ),
        Example(
            "another step or an open axis: of three values one is parted",
            """(float[6] x, float[N] w, float[6] v) => (float[3] a, float[3] b, float[2] c, float[M] d, float[2] e,
             float[4] f)
            <int64[1] zero = {0}, int64[1] two = {2}, int64[1] one = {1}, int64[1] end = {99}, int64[1] axis = {0}>
            { a = Slice(x, zero, end, axis, two) b = Slice(x, one, end, axis, two)
              c = Slice(w, zero, two) d = Slice(w, two, end) e = Slice(v, zero, two) f = Slice(v, two, end) }""",
            """a = Slice(x, #, #, #, #)
            b = Slice(x, #, #, #, #)
            c = Slice(w, #, #)
            d = Slice(w, #, #)
            e, f = Split<axis=0>(v, #)""",
        ),
    )


def _merged(place: Workplace, rule: str, first: ir.Node, axis: int, parts: dict[Range, ir.Node]) -> Applied:
    x = first.inputs[0]
    assert x is not None
    new = Builder(first, place.names, place.repair, place.opset)
    made = parted(new, x, axis, [end - start for start, end in parts])
    return exchange(place, rule, new, [n.outputs[0] for n in parts.values()], made, list(parts.values()))


def _parts(x: ir.Value, graph: ir.Graph) -> dict[int, dict[Range, ir.Node]]:
    """By axis and range, the Slices in this graph that take a part of x."""
    found: dict[int, dict[Range, ir.Node]] = {}
    for node, position in x.uses():
        cut = _cut(node) if position == 0 and node.graph is graph else None
        if cut is not None:
            axis, start, end = cut
            found.setdefault(axis, {}).setdefault((start, end), node)
    return found


def _chain(ranges: Iterable[Range], whole: int) -> Sequence[Range]:
    """As many of the ranges as follow one another without gap from 0 to the end; none where they do not get there."""
    longest: dict[int, list[Range]] = {0: []}
    for start, end in sorted(ranges):
        if start in longest and len(longest[start]) >= len(longest.get(end, ())):
            longest[end] = [*longest[start], (start, end)]
    return longest.get(whole, ())


def _cut(node: ir.Node) -> tuple[int, int, int] | None:
    """The one axis along which a Slice takes only a part, where it begins and ends; None for any other node."""
    if node.op_type != "Slice" or node.domain != "":
        return None
    bounds, before, after = _bounds(node), dims_of(node.inputs[0]), dims_of(node.outputs[0])
    if bounds is None or before is None or after is None:
        return None
    shorter = [axis for axis, (b, a) in enumerate(zip(before, after)) if b != a]
    if len(shorter) != 1 or not isinstance(before[shorter[0]], int):
        return None
    given = [(start, end) for axis, start, end in bounds if axis % len(before) == shorter[0]]
    if len(given) != 1:
        return None
    start, end, _ = slice(*given[0]).indices(before[shorter[0]])
    return (shorter[0], start, end) if start < end else None


def _bounds(node: ir.Node) -> list[tuple[int, int, int]] | None:
    """Axes of a Slice with their starts and ends; None where they are not constant or a step is not one."""
    if len(node.inputs) == 1:
        starts, ends, axes = (attribute(node, name) for name in ("starts", "ends", "axes"))
    else:
        arrays = [None if v is None else constant_of(v) for v in node.inputs[1:]]
        if any(a is None and v is not None for a, v in zip(arrays, node.inputs[1:], strict=True)):
            return None
        lists = [None if a is None else [int(n) for n in a.reshape(-1)] for a in arrays]
        starts, ends, axes, steps = [*lists, None, None][:4]
        if any(step != 1 for step in steps or ()):
            return None
    if starts is None or ends is None:
        return None
    return list(zip(range(len(starts)) if axes is None else axes, starts, ends))
