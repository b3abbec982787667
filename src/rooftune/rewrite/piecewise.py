"""Straight lines between two bounds: Clip, Min and Max, HardSigmoid, however they are written."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from rooftune.rewrite.match import attribute
from rooftune.rewrite.polynomial import Polynomial, made_by, polynomial, scalar

__all__ = ["HardStep", "bounds", "hard_step"]


@dataclass(frozen=True)
class HardStep:
    """clip(slope·x + offset, 0, top): the nodes that compute it and the line they clip."""

    x: ir.Value
    slope: float
    offset: float
    top: float
    argument: Polynomial
    nodes: tuple[ir.Node, ...]


def bounds(node: ir.Node) -> tuple[float, float] | None:
    """Lower and upper bound of a Relu or Clip, infinite where it has none; None where they are computed."""
    if node.op_type == "Relu":
        return 0.0, float("inf")
    found = []
    for place, name, default in ((1, "min", "-inf"), (2, "max", "inf")):
        given = node.inputs[place] if len(node.inputs) > place else None
        number = scalar(given) if given is not None else float(attribute(node, name, default))
        if number is None:
            return None
        found.append(number)
    return found[0], found[1]


def hard_step(value: ir.Value) -> HardStep | None:
    """The straight line between 0 and a bound that a value is; None where it is something else."""
    node = made_by(value, "Clip", "HardSigmoid", "Min")
    if node is None or not node.inputs or node.inputs[0] is None:
        return None
    argument: ir.Value | None = node.inputs[0]
    nodes: tuple[ir.Node, ...] = (node,)
    alpha, beta, top, rank = 1.0, 0.0, 1.0, 0
    if node.op_type == "HardSigmoid":
        alpha, beta = float(attribute(node, "alpha", 0.2)), float(attribute(node, "beta", 0.5))
    elif node.op_type == "Clip":
        ends = bounds(node)
        if ends is None or ends[0] != 0:
            return None
        top = ends[1]
    else:
        upper = _with_number(node)
        if upper is None:
            return None
        below, top, rank = upper
        lower = made_by(below, "Max", "Relu", "Clip")
        if lower is None:
            return None
        nodes = (node, lower)
        if lower.op_type == "Max":
            floor = _with_number(lower)
            if floor is None or floor[1] != 0:
                return None
            argument, rank = floor[0], max(rank, floor[2])
        elif bounds(lower) == (0.0, float("inf")):
            argument = lower.inputs[0]
        else:
            return None
    if argument is None or not 0 < top < float("inf"):
        return None
    line = polynomial(argument, whole=len(argument.uses()) == 1 and not argument.is_graph_output())
    if line is None or len(line.atoms) != 1 or not set(line.terms) <= {(), (0,)}:
        return None
    slope = line.coefficient(line.atoms[0])
    if slope == 0:
        return None
    line = Polynomial(line.terms, line.atoms, line.nodes, max(line.rank, rank))
    offset = alpha * line.terms.get((), 0.0) + beta
    return HardStep(line.atoms[0], alpha * slope, offset, top, line, (*nodes, *line.nodes))


def _with_number(node: ir.Node) -> tuple[ir.Value, float, int] | None:
    """The other input of a Min or Max with a scalar constant, the constant, and the constant's rank."""
    if len(node.inputs) != 2:
        return None
    for value, bound in (node.inputs, node.inputs[::-1]):
        number = scalar(bound)
        if value is not None and bound is not None and number is not None:
            return value, number, len(bound.shape) if bound.shape is not None else 0
    return None
