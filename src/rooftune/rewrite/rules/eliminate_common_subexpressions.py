"""What is computed twice is computed once."""

from __future__ import annotations

from itertools import chain

import onnx_ir as ir
from onnx_ir.passes.common import CommonSubexpressionEliminationPass

from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.passes import run_pass
from rooftune.rewrite.rule import Example
from rooftune.rewrite.sweep import Sweep

_DRAWS = frozenset({"Bernoulli", "Dropout"})
"""Operators that draw anew each time and that the pass does not know as such."""
_APART = "rooftune_apart"


class EliminateCommonSubexpressions(Sweep):
    """Let nodes that compute the same from the same inputs be one node."""

    def run(self, place: Workplace) -> list[Applied]:
        twins = [_perhaps_twins(graph) for graph in (place.ir.graph, *place.ir.graph.subgraphs())]
        inside = [graph for graph, found in zip(place.ir.graph.subgraphs(), twins[1:], strict=True) if found]
        may_go = list(chain(*twins))
        draws = [node for node in may_go if node.op_type in _DRAWS]
        for number, node in enumerate(draws):
            node.attributes[_APART] = ir.AttrInt64(_APART, number)
        try:
            return run_pass(place, self.name, CommonSubexpressionEliminationPass(), may_go=may_go, inside=inside)
        finally:
            for node in draws:
                node.attributes.pop(_APART, None)

    examples = (
        Example(
            "twice the same activation",
            "(float[2,3] x) => (float[2,3] y) { a = Relu(x) b = Relu(x) y = Add(a, b) }",
            "a = Relu(x)\ny = Add(a, a)",
        ),
    )


def _perhaps_twins(graph: ir.Graph) -> list[ir.Node]:
    """Nodes that an earlier one may stand in for: the same operator on the same inputs, whatever the attributes."""
    first: dict[tuple[object, ...], ir.Node] = {}
    stands_for: dict[int, int] = {}
    found = []
    for node in graph:
        read = [stands_for.get(id(v), id(v)) for v in node.inputs]
        twin = first.setdefault((node.op_identifier(), len(node.outputs), *read), node)
        if twin is not node:
            found.append(node)
            stands_for.update(zip(map(id, node.outputs), map(id, twin.outputs)))
    return found
