"""Element-wise arithmetic with scalar constants read as a polynomial, so that a formula is known in every spelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from rooftune.graph.constants import constant_of
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.match import label_of
from rooftune.verdicts import Refusal

__all__ = ["FUSED_TYPES", "Polynomial", "all_close", "has_rank_of", "made_by", "polynomial", "read_only_by", "scalar"]

FUSED_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
"""Element types for which engines have the fused activations; ONNX Runtime's CPU kernels know no double."""

MAX_TERMS, MAX_DEGREE, MAX_DEPTH = 6, 4, 8
SMALLEST, LARGEST = 1e-4, 1e4
"""Sizes of constants that are multiplied out: others could overflow or cancel in one spelling and not in another."""

Monomial = tuple[int, ...]


@dataclass(frozen=True)
class Polynomial:
    """A sum of products of values ("atoms").

    terms  coefficient by the sorted indices of the atoms that are multiplied
    atoms  the values that are read as a whole
    nodes  the arithmetic that was read, outermost first
    rank   the largest rank of a constant in it
    """

    terms: Mapping[Monomial, float]
    atoms: tuple[ir.Value, ...]
    nodes: tuple[ir.Node, ...]
    rank: int = 0

    def coefficient(self, *atoms: ir.Value) -> float:
        """The factor of a product of atoms; 0 where it does not occur, as for an atom that does not."""
        places = {id(a): i for i, a in enumerate(self.atoms)}
        if any(id(a) not in places for a in atoms):
            return 0.0
        return self.terms.get(tuple(sorted(places[id(a)] for a in atoms)), 0.0)


def polynomial(value: ir.Value, *, whole: bool = True) -> Polynomial | None:
    """What a value computes from other values by Add, Sub, Mul, Neg, division by and powers with scalar constants.

    whole  read the value's own node even where others read the value; nodes within are read only where they have
           one reader, so that nothing is computed twice
    None where it is too long to be a formula anybody looks for.
    """
    try:
        return _read(value, whole, 0)
    except _TooLong:
        return None


def scalar(value: ir.Value | None) -> float | None:
    """The number in a constant with one element; None for anything else, and for a default callers may replace."""
    if value is None or value.is_graph_input():
        return None
    array = constant_of(value, 1)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None


def made_by(value: ir.Value | None, *ops: str) -> ir.Node | None:
    """The node of the default domain that makes a value as its first output, where it has one of these operators."""
    node = None if value is None or value.index() != 0 else value.producer()
    return node if node is not None and node.domain == "" and node.op_type in ops else None


def all_close(value: ir.Value, *pairs: tuple[float, float]) -> bool:
    """True where each first number is the second but for digits that get lost when people write √2 or 1/6.

    Constants beside float16 data have lost more of them.
    """
    tolerance = 1e-3 if value.dtype == ir.DataType.FLOAT16 else 3e-6
    return all(abs(found - wanted) <= tolerance * abs(wanted) for found, wanted in pairs)


def read_only_by(nodes: tuple[ir.Node, ...]) -> Refusal | None:
    """Why what these nodes compute, the first one's output apart, is needed elsewhere; None where it is not.

    Nodes outside the loop or branch of the first one stay there: inside they would run as often as it does.
    """
    covered = {id(n) for n in nodes}
    for node in nodes[1:]:
        if node.graph is not nodes[0].graph:
            return Refusal(f"{label_of(node)} stands outside the loop or branch that reads it", label_of(node))
        for value in node.outputs:
            if value.is_graph_output():
                return Refusal(f"the output of {label_of(node)} is an output of the graph", label_of(node))
            if any(id(reader) not in covered for reader, _ in value.uses()):
                return Refusal(f"the output of {label_of(node)} has another reader", label_of(node))
    return None


def has_rank_of(value: ir.Value, *parts: Polynomial) -> bool:
    """True where no constant in these formulas has more dimensions than the value, which would shape the result."""
    rank = rank_of(value)
    return rank is not None and all(p.rank <= rank for p in parts)


class _TooLong(Exception):
    pass


def _atom(value: ir.Value) -> Polynomial:
    return Polynomial({(0,): 1.0}, (value,), ())


def _read(value: ir.Value, whole: bool, depth: int) -> Polynomial:
    number = scalar(value)
    if number is not None:
        if number != 0 and not SMALLEST <= abs(number) <= LARGEST:
            raise _TooLong
        return Polynomial({(): number}, (), (), rank_of(value) or 0)
    node = made_by(value, "Add", "Sub", "Mul", "Div", "Neg", "Pow")
    if node is None or depth > MAX_DEPTH or any(v is None for v in node.inputs):
        return _atom(value)
    if not whole and (len(value.uses()) > 1 or value.is_graph_output()):
        return _atom(value)
    inputs = [v for v in node.inputs if v is not None]
    same = len(inputs) == 2 and inputs[0] is inputs[1]
    parts = [_atom(v) if same else _read(v, False, depth + 1) for v in inputs]
    found = _combine(node, parts)
    return _atom(value) if found is None else found


def _combine(node: ir.Node, parts: list[Polynomial]) -> Polynomial | None:
    atoms = list({id(a): a for p in parts for a in p.atoms}.values())
    place = {id(a): i for i, a in enumerate(atoms)}
    terms = [
        {tuple(sorted(place[id(p.atoms[i])] for i in product)): c for product, c in p.terms.items()} for p in parts
    ]
    constant = parts[-1].terms.get(()) if set(parts[-1].terms) == {()} else None
    if node.op_type == "Neg":
        made = {m: -c for m, c in terms[0].items()}
    elif node.op_type in ("Add", "Sub"):
        sign = 1.0 if node.op_type == "Add" else -1.0
        made = dict(terms[0])
        for product, c in terms[1].items():
            made[product] = made.get(product, 0.0) + sign * c
    elif node.op_type == "Mul":
        made = _product(terms[0], terms[1])
    elif node.op_type == "Div" and constant:
        made = {m: c / constant for m, c in terms[0].items()}
    elif node.op_type == "Pow" and constant in (2.0, 3.0):
        made = terms[0]
        for _ in range(int(constant) - 1):
            made = _product(made, terms[0])
    else:
        return None
    if len(made) > MAX_TERMS or any(len(m) > MAX_DEGREE for m in made):
        raise _TooLong
    nodes = tuple({id(n): n for n in (node, *(n for p in parts for n in p.nodes))}.values())
    return Polynomial(made, tuple(atoms), nodes, max(p.rank for p in parts))


def _product(left: Mapping[Monomial, float], right: Mapping[Monomial, float]) -> dict[Monomial, float]:
    made: dict[Monomial, float] = {}
    for first, a in left.items():
        for second, b in right.items():
            product = tuple(sorted(first + second))
            made[product] = made.get(product, 0.0) + a * b
    return made
