"""The target of a Reshape is written down where it follows from the input's shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.graph.small_values import SmallValues
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.views import dims_of, producer_of
from rooftune.verdicts import Exactness, Refusal


class SimplifyReshapeTarget(Rule):
    """Write the computed target of a Reshape as a constant: numbers, 0 for a size that stays, -1 for the one left.

    With two open sizes, one of them -1, a batch of size zero is an error in ONNX Runtime, as it is for every -1.
    """

    pattern = ()
    exactness = Exactness.BITWISE

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Reshape")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        if len(node.inputs) < 2 or node.inputs[1] is None or is_constant(node.inputs[1]):
            return None
        entries = _entries(node.inputs[1], SmallValues())
        if entries is None:
            return None
        target = _written(entries, dims_of(node.inputs[0]), copies=not attribute(node, "allowzero", 0))
        return None if target is None else Match(node, {"x": node.inputs[0], "target": target}, (node,))

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.node("Reshape", [m.x, new.integers(m.target)])[0]

    examples = (
        Example(
            "the rest is what is left",
            """(float[N,3,H,W] x) => (float[N,3,M] y)
            <int64 i = {0}, int64[1] axes = {0}, int64[1] c = {3}, int64[1] rest = {-1}>
            { s = Shape(x) n = Gather(s, i) u = Unsqueeze(n, axes) t = Concat<axis=0>(u, c, rest)
              y = Reshape(x, t) }""",
            "y = Reshape(x, #)",
        ),
        Example(
            "products of open sizes",
            """(float[N,3,H,W] x) => (float[N,3,M] y) <int64[2] tail = {2,3}, int64[1] c = {3}, int64[1] zero = {0}>
            { s = Shape(x) n = Gather(s, zero) r = Gather(s, tail) p = ReduceProd<axes=[0]>(r)
              t = Concat<axis=0>(n, c, p) y = Reshape(x, t) }""",
            "y = Reshape(x, #)",
            opset=13,
        ),
        Example(
            "an entry that nobody knows",
            """(float[N,6] x, int64[1] q) => (float[N,A,B] y)
            <int64[1] two = {2}, int64[1] three = {3}, int64[1] zero = {0}>
            { s = Shape(x) n = Gather(s, zero) r = Mul(q, zero) k = Add(r, two) t = Concat<axis=0>(n, k, three)
              y = Reshape(x, t) }""",
            "y = Reshape(x, #)",
        ),
    )


def _entries(target: ir.Value, values: SmallValues) -> list[Any] | None:
    """The sizes asked for; None for one that only the run knows. None altogether where their number is not known."""
    known = values.of(target)
    if known is not None:
        return [int(e) if _is_number(e) else e for e in known.reshape(-1).tolist()]
    concat = producer_of(target, "Concat")
    if concat is None:
        return [None] if dims_of(target) == (1,) else None
    found: list[Any] = []
    for part in concat.inputs:
        inner = None if part is None else _entries(part, values)
        if inner is None:
            return None
        found += inner
    return found


def _is_number(entry: Any) -> bool:
    return isinstance(entry, int | np.integer) or bool(getattr(entry, "is_Integer", False))


def _written(entries: list[Any], dims: tuple[Any, ...] | None, *, copies: bool) -> list[int] | None:
    if not copies and 0 in entries:
        return None
    found: list[int] = []
    for place, entry in enumerate(entries):
        if isinstance(entry, int):
            found.append(entry)
        elif entry is not None and dims is not None and place < len(dims) and dims[place] == entry:
            found.append(0)
        else:
            found.append(-1)
    return found if found.count(-1) <= 1 else None
