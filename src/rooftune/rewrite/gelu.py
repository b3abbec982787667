"""GELU written out: a value times half of one plus some function of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import onnx_ir as ir

from rooftune.rewrite.match import Match
from rooftune.rewrite.polynomial import FUSED_TYPES, all_close, has_rank_of, made_by, polynomial, read_only_by
from rooftune.rewrite.rule import Rule
from rooftune.verdicts import Exactness, Refusal

__all__ = ["GeluForm"]


class GeluForm(Rule):
    """A rule that looks for x·(1 + f(p(x)))/2, in whatever order it is written.

    inner     the operator f
    argument  the coefficients of the polynomial p by power of x
    """

    inner: ClassVar[str]
    argument: ClassVar[Mapping[int, float]]
    pattern = ()
    exactness = Exactness.REASSOCIATES
    since = 20

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Mul"), ("", "Div")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        outer = polynomial(node.outputs[0])
        if outer is None or len(outer.terms) != 2 or len(outer.atoms) != 2:
            return None
        for x, value in (outer.atoms, outer.atoms[::-1]):
            inner = made_by(value, self.inner)
            if inner is None or inner.inputs[0] is None or x.dtype not in FUSED_TYPES:
                continue
            if not all_close(x, (outer.coefficient(x), 0.5), (outer.coefficient(x, value), 0.5)):
                continue
            within = polynomial(inner.inputs[0])
            if within is None or len(within.terms) != len(self.argument) or not has_rank_of(x, outer, within):
                continue
            if all_close(x, *((within.coefficient(*[x] * power), c) for power, c in self.argument.items())):
                nodes = (*outer.nodes, inner, *within.nodes)
                return read_only_by(nodes) or Match(node, {"x": x}, nodes)
        return None
