"""Model-local functions: each defined once, none calling itself, none growing without bound."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from rooftune.errors import InputError
from rooftune.graph.tensors_in import graphs_in

__all__ = ["check_functions"]

MAX_EXPANDED_NODES = 1_000_000

_Name = tuple[str, str]


def check_functions(model: onnx.ModelProto) -> set[_Name]:
    """Domain and name of every local function; raises `InputError` where expansion would not end."""
    functions: dict[_Name, onnx.FunctionProto] = {}
    for function in model.functions:
        name = (function.domain, function.name)
        if name in functions and not function.overload:
            raise InputError(f"the function {function.name} is defined twice", "export the model again")
        functions[name] = function
    if functions:
        sizes: dict[_Name, int | None] = {}
        for name in functions:
            _expanded(name, functions, sizes)
        total = sum(sizes.get((n.domain, n.op_type)) or 1 for n in _all_nodes(model.graph.node))
        if total > MAX_EXPANDED_NODES:
            raise InputError(
                f"the functions of the model expand to {total} nodes, more than {MAX_EXPANDED_NODES}",
                "export the model without nested functions",
            )
    return set(functions)


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    found = list(nodes)
    for graph in graphs_in(list(found)):
        found.extend(graph.node)
    return found


def _expanded(name: _Name, functions: dict[_Name, onnx.FunctionProto], sizes: dict[_Name, int | None]) -> int:
    """Nodes of a function with everything it calls put in."""
    if name in sizes:
        size = sizes[name]
        if size is None:
            raise InputError(f"the function {name[1]} calls itself", "export the model without recursive functions")
        return size
    if len([s for s in sizes.values() if s is None]) > 100:
        raise InputError("functions call each other more than 100 deep", "export the model without nested functions")
    sizes[name] = None
    total = 1
    for node in _all_nodes(functions[name].node):
        called = (node.domain, node.op_type)
        total += _expanded(called, functions, sizes) if called in functions else 1
    sizes[name] = total
    return total
