"""From a rewritten graph to the operations that are compiled; what follows a convolution in registers joins it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

import onnx_ir as ir

from rooftune.compiler.lower.integers import take_integers
from rooftune.compiler.lower.node import Take
from rooftune.compiler.lowering import Lowered, Lowering, static_dims
from rooftune.graph.model import Model
from rooftune.graph.node_shapes import contradiction_in
from rooftune.verdicts import Refusal

__all__ = ["lower", "refusals", "taken_operators"]


def lower(model: Model) -> Lowered | Refusal:
    """The operations of a model; or the first thing that there is no operation for."""
    work = Lowering(model)
    graph = model.ir.graph
    for value in graph.inputs:
        refused = work.input(value)
        if refused is not None:
            return refused
    for node in graph:
        if _is_constant(node):
            continue
        outcome = _taken(work, node)
        if outcome is not None:
            return Refusal(f"{node.op_type} {node.name}: {outcome.reason}", node.name or node.op_type)
        work.lowered.nodes += 1
    for value in graph.outputs:
        refused = work.output(value)
        if refused is not None:
            return refused
    return work.lowered


def refusals(model: Model) -> dict[ir.Node, Refusal]:
    """The nodes there is no operation for where they stand; what they give is taken for given by all others."""
    work = Lowering(model)
    found: dict[ir.Node, Refusal] = {}
    for value in model.ir.graph.inputs:
        work.input(value)
    for node in model.ir.graph:
        if _is_constant(node):
            continue
        outcome = _taken(work, node)
        if outcome is not None:
            found[node] = outcome
            for value in node.outputs:
                work.input(value)
    return found


@cache
def taken_operators() -> Mapping[str, Take]:
    """Who takes a standard operator in, by its name: what the modules beside this one say."""
    found: dict[str, Take] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        found.update(getattr(importlib.import_module(f"{__name__}.{module}"), "TAKES", {}))
    return dict(sorted(found.items()))


def _is_constant(node: ir.Node) -> bool:
    return node.op_type == "Constant" and node.domain == ""


def _taken(work: Lowering, node: ir.Node) -> Refusal | None:
    first = node.inputs[0] if node.inputs else None
    if first is not None and first.name in work.integers:
        wrong = contradiction_in(node, work.opsets)
        return take_integers(work, node) if wrong is None else Refusal(wrong)
    take = taken_operators().get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if take is None:
        return Refusal("there is no kernel for it")
    dims = [static_dims(v) for v in node.outputs if v.name]
    if None in dims:
        return Refusal("the size of its result is not known")
    if any(0 in (d or ()) for d in dims):
        return Refusal("it makes an empty tensor")
    # the first input is what it works on, but for conditions
    given = node.inputs[1:] if node.op_type == "Where" else node.inputs[:1]
    if any(v.dtype not in (None, ir.DataType.FLOAT) for v in (*given, *node.outputs) if v is not None):
        return Refusal("it does not work on fp32 numbers")
    # code that trusts sizes which only the file declares would read and write anywhere
    wrong = contradiction_in(node, work.opsets)
    return take(work, node) if wrong is None else Refusal(wrong)
