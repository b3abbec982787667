"""Is this a graph that could run at all: names, order, operators, functions?"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, MutableMapping, Sequence

import onnx

from rooftune.errors import InputError
from rooftune.graph.check_functions import check_functions
from rooftune.graph.check_node import Definition, check_node, definition
from rooftune.graph.sort_nodes import sort_nodes
from rooftune.graph.tensors_in import attributes_in

__all__ = ["check_structure", "opset_imports"]

OLDEST_OPSET = 7
_GRAPH = onnx.AttributeProto.GRAPH
_GRAPHS = (_GRAPH, onnx.AttributeProto.GRAPHS)
_STANDARD = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")


def opset_imports(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Declared operator sets by domain, `ai.onnx` written as the empty domain."""
    return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in imports}


def check_structure(model: onnx.ModelProto) -> list[str]:
    """Check the graph of a model; returns warnings, raises `InputError` where it cannot run.

    Nodes that are out of order are sorted in place.
    """
    warnings = _check_header(model)
    opsets = opset_imports(model.opset_import)
    if model.ir_version < 3:
        opsets.setdefault("", 1)
    warnings += _check_opsets(opsets)
    local = check_functions(model)
    check = _Check(opsets, local, warnings)
    known: MutableMapping[str, None] = {}
    check.graph(model.graph, ChainMap(known), main=True)
    for function in model.functions:
        inside = _Check({**opsets, **opset_imports(function.opset_import)}, local, warnings)
        scope = ChainMap(dict.fromkeys(function.input))
        inside.nodes(function, scope, f"function {function.name}")
        _check_outputs(function.output, scope, f"function {function.name}")
    return warnings


def _check_header(model: onnx.ModelProto) -> list[str]:
    if not model.HasField("graph"):
        raise InputError("not an ONNX model: the file holds no graph", "give the .onnx file of a model")
    if model.ir_version <= 0 or not (model.opset_import or model.ir_version < 3):
        raise InputError(
            "not an ONNX model: it declares no format version and operator set", "give the .onnx file of a model"
        )
    if model.ir_version > onnx.IR_VERSION:
        return [f"format version {model.ir_version} is newer than the {onnx.IR_VERSION} this onnx package knows"]
    return []


def _check_opsets(opsets: dict[str, int]) -> list[str]:
    version = opsets.get("")
    newest = onnx.defs.onnx_opset_version()
    if any(v < 0 or v > 1 << 31 for v in opsets.values()):
        raise InputError(f"operator sets have impossible versions: {opsets}", "export the model again")
    if version is not None and version < OLDEST_OPSET:
        return [f"operator set {version} is older than {OLDEST_OPSET}; results may be incomplete"]
    if version is not None and version > newest:
        return [f"operator set {version} is newer than the {newest} this onnx package knows"]
    return []


class _Check:
    """The scopes of one graph or function."""

    def __init__(self, opsets: dict[str, int], local: set[tuple[str, str]], warnings: list[str]) -> None:
        self.opsets, self.local, self.warnings = opsets, local, warnings
        self.seen: dict[tuple[str, str], Definition | None] = {}

    def graph(self, graph: onnx.GraphProto, scope: ChainMap[str, None], *, main: bool = False) -> None:
        where = "the graph" if main else f"subgraph {graph.name}"
        here = scope.maps[0]
        inputs = {i.name for i in graph.input}
        if len(inputs) != len(graph.input):
            raise _duplicate(_first_double(i.name for i in graph.input), where)
        for info in (*graph.input, *graph.output):
            _check_dimensions(info)
        for info in graph.input if main else ():
            if info.type.WhichOneof("value") is None:
                raise InputError(f"the input {info.name!r} declares no type", "export the model again")
        here.update(dict.fromkeys(inputs))
        own = [t.name for t in graph.initializer] + [s.values.name for s in graph.sparse_initializer]
        if len(set(own)) != len(own):
            raise _duplicate(_first_double(own), where)
        if "" in own or "" in inputs:
            raise InputError(f"{where} has an input or initialiser without a name", "export the model again")
        here.update(dict.fromkeys(own))
        self.nodes(graph, scope, where)
        _check_outputs([o.name for o in graph.output], scope, where)

    def nodes(self, owner: onnx.GraphProto | onnx.FunctionProto, scope: ChainMap[str, None], where: str) -> None:
        """Walk the nodes in order; every input must be known and every output new."""
        rows = [_Row(node) for node in owner.node]
        if not _in_order(rows, scope):
            sort_nodes(owner, set(scope), where)
            self.warnings.append(f"the nodes of {where} were out of order and have been sorted")
            rows = [_Row(node) for node in owner.node]
        here = scope.maps[0]
        for row in rows:
            node = row.node
            kind = (node.domain, node.op_type)
            if kind not in self.seen:
                self.seen[kind] = self.operator(node)
            wanted = self.seen[kind]
            if wanted is not None:
                check_node(node, wanted)
            for attribute in row.with_graphs:
                for graph in (attribute.g,) if attribute.type == _GRAPH else attribute.graphs:
                    self.graph(graph, scope.new_child())
            for name in row.inputs:
                if name and name not in here and name not in scope:
                    raise InputError(
                        f"node {node.name or node.op_type} of {where} reads {name!r}, which nothing produces",
                        "export the model again",
                    )
            for name in row.outputs:
                if name in here:
                    raise _duplicate(name, where)
                if name:
                    here[name] = None

    def operator(self, node: onnx.NodeProto) -> Definition | None:
        """The definition of the operator in the version of its set that the model declares; None for foreign ones."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (node.domain, node.op_type) in self.local or (domain, node.op_type) in self.local:
            return None
        version = self.opsets.get(domain)
        label = f"operator {node.op_type} of node {node.name or '(unnamed)'}"
        if domain not in _STANDARD:
            if version is None:
                self.warnings.append(f"{label}: the model declares no operator set {domain}")
            return None
        if version is None:
            raise InputError(
                f"{label}: the model declares no version of the operator set {domain or 'ai.onnx'}",
                "export the model again",
            )
        found = definition(domain, node.op_type, version)
        if found is None:
            raise InputError(
                f"{label} is not in operator set {version} of {domain or 'ai.onnx'}",
                "export for an operator set that has it, or convert the model with onnx.version_converter",
            )
        return found


class _Row:
    """What is asked of a node again and again."""

    __slots__ = ("inputs", "node", "outputs", "with_graphs")

    def __init__(self, node: onnx.NodeProto) -> None:
        self.node = node
        self.inputs, self.outputs = list(node.input), list(node.output)
        self.with_graphs = [a for a in node.attribute if a.type in _GRAPHS]


def _in_order(rows: Iterable[_Row], scope: ChainMap[str, None]) -> bool:
    """False where a node reads a name that a later node of the same graph produces."""
    outer = scope.parents if len(scope.maps) > 1 else {}
    ready = set(scope.maps[0])
    late: set[str] = set()
    for row in rows:
        late.update([name for name in row.inputs if name and name not in ready and name not in outer])
        for attribute in attributes_in((row.node,)) if row.with_graphs else ():
            if attribute.type == _GRAPH:
                late.update(name for inner in attribute.g.node for name in inner.input if name not in ready)
        if late and not late.isdisjoint(row.outputs):
            return False
        ready.update(row.outputs)
    return True


def _check_outputs(names: Sequence[str], scope: ChainMap[str, None], where: str) -> None:
    for name in names:
        if name not in scope:
            raise InputError(f"the output {name!r} of {where} is produced by nothing", "export the model again")


def _check_dimensions(info: onnx.ValueInfoProto) -> None:
    for dim in info.type.tensor_type.shape.dim:
        if dim.HasField("dim_value") and dim.dim_value < 0:
            raise InputError(
                f"{info.name} has the negative dimension {dim.dim_value}",
                "give the dimension a name where it is open, or a size",
            )


def _first_double(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next((n for n in names if n in seen or seen.add(n)), "")  # type: ignore[func-returns-value]


def _duplicate(name: str, where: str) -> InputError:
    return InputError(f"the name {name!r} is given twice in {where}", "export the model again")
