"""Normalisation written out: a tensor over its root mean square, with its mean taken off before or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from rooftune.rewrite.axes import axes_of, rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.polynomial import made_by, read_only_by, scalar
from rooftune.rewrite.rule import Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

__all__ = ["FusedNormalisation", "Normalised", "normalised"]

NORMALISED_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)


@dataclass(frozen=True)
class Normalised:
    """(x - mean) / √(mean((x - mean)²) + epsilon), or the same without the mean, over some axes.

    nodes  that compute it, the outermost first
    """

    x: ir.Value
    axes: tuple[int, ...]
    epsilon: float
    centred: bool
    nodes: tuple[ir.Node, ...]


def normalised(root: ir.Node) -> Normalised | None:
    """What a Div or Mul normalises; None where it does something else."""
    for numerator, inner in _over_root(root):
        added = made_by(inner[-1].inputs[0], "Add")
        if added is None:
            continue
        for value, bound in (added.inputs, added.inputs[::-1]):
            epsilon, mean = scalar(bound), made_by(value, "ReduceMean")
            if epsilon is None or not 0 < epsilon < 1 or mean is None or (rank_of(bound) or 0) > (rank_of(value) or 0):
                continue
            squared = _square(mean.inputs[0])
            axes = _kept_axes(mean)
            if squared is None or axes is None:
                continue
            base, square = squared
            found = _centred(numerator, base, axes)
            nodes = (root, *inner, added, mean, square)
            if found is not None and _same_rank(found[0], nodes):
                return Normalised(found[0], axes, epsilon, True, (*nodes, *found[1]))
            if numerator is base and base.dtype in NORMALISED_TYPES and _same_rank(base, nodes):
                return Normalised(base, axes, epsilon, False, nodes)
    return None


def _same_rank(x: ir.Value, nodes: tuple[ir.Node, ...]) -> bool:
    """True where no constant with more dimensions than the tensor gives any result more than it has."""
    rank = rank_of(x)
    return rank is not None and all(rank_of(n.outputs[0]) == rank for n in nodes)


def _over_root(root: ir.Node) -> list[tuple[ir.Value, tuple[ir.Node, ...]]]:
    """Numerators of a node that divides by a square root, each with the nodes down to that root."""
    if len(root.inputs) != 2 or root.inputs[0] is None or root.inputs[1] is None:
        return []
    if root.op_type == "Div":
        below = made_by(root.inputs[1], "Sqrt")
        return [] if below is None else [(root.inputs[0], (below,))]
    found: list[tuple[ir.Value, tuple[ir.Node, ...]]] = []
    for numerator, factor in (root.inputs, root.inputs[::-1]):
        over = made_by(factor, "Reciprocal", "Div", "Pow")
        if over is None or numerator is None:
            continue
        if over.op_type == "Pow":
            if scalar(over.inputs[1]) == -0.5:
                found.append((numerator, (over,)))
            continue
        if over.op_type == "Div" and scalar(over.inputs[0]) != 1:
            continue
        below = made_by(over.inputs[-1], "Sqrt")
        if below is not None:
            found.append((numerator, (over, below)))
    return found


def _square(value: ir.Value | None) -> tuple[ir.Value, ir.Node] | None:
    node = made_by(value, "Pow", "Mul")
    if node is None or node.inputs[0] is None:
        return None
    twice = node.inputs[1] is node.inputs[0] if node.op_type == "Mul" else scalar(node.inputs[1]) == 2
    return (node.inputs[0], node) if twice else None


def _kept_axes(mean: ir.Node) -> tuple[int, ...] | None:
    """The axes of a ReduceMean that keeps them as axes of length 1."""
    if not attribute(mean, "keepdims", 1):
        return None
    axes = axes_of(mean)
    return None if axes is None or not axes else tuple(sorted(axes))


def _centred(numerator: ir.Value, base: ir.Value, axes: tuple[int, ...]) -> tuple[ir.Value, tuple[ir.Node, ...]] | None:
    """x where both values are x less its mean over these axes, which may be computed once or twice."""
    nodes: dict[int, ir.Node] = {}
    sources = []
    for value in (numerator, base):
        difference = made_by(value, "Sub")
        mean = None if difference is None else made_by(difference.inputs[1], "ReduceMean")
        if difference is None or mean is None or mean.inputs[0] is not difference.inputs[0] or mean.inputs[0] is None:
            return None
        if _kept_axes(mean) != axes or mean.inputs[0].dtype not in NORMALISED_TYPES:
            return None
        nodes |= {id(difference): difference, id(mean): mean}
        sources.append(mean.inputs[0])
    return (sources[0], tuple(nodes.values())) if sources[0] is sources[1] else None


class FusedNormalisation(Rule):
    """A rule that makes the formula over the last axes one operator, whose scale is then a row of ones.

    operator  what it becomes
    centred   with the mean taken off, or without
    """

    operator: ClassVar[str]
    centred: ClassVar[bool]
    pattern = ()
    exactness = Exactness.REASSOCIATES

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = normalised(node)
        rank = None if found is None else rank_of(found.x)
        if found is None or rank is None or found.centred is not self.centred:
            return None
        first = found.axes[0]
        if found.axes != tuple(range(first, rank)):
            return None
        return read_only_by(found.nodes) or Match(node, {"x": found.x, "found": found, "axis": first}, found.nodes)

    def guard(self, m: Match) -> Refusal | None:
        dims = m.dims("x")
        if dims is None or not all(isinstance(d, int) for d in dims[m.axis :]):
            return Refusal(f"{self.operator} needs a scale, and the length of the normalised axes is open")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        dims = m.dims("x")
        assert dims is not None
        axis = m.axis - len(dims)
        ones = new.constant(np.ones([int(d) for d in dims[m.axis :]]), like=m.x, hint=f"{m.root.name}_scale")
        return new.node(self.operator, [m.x, ones], axis=axis, epsilon=m.found["found"].epsilon)[0]
