"""A graph as tasks that can be parted, and each part of it as a model of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.analysis.control_flow import captured_values
from rooftune.compiler.partition import Stage, Task
from rooftune.execute.backend import TensorSpec
from rooftune.graph.constants import constant_tensor, is_constant
from rooftune.graph.model import Model
from rooftune.graph.types import value_type
from rooftune.rewrite.copying import copy_of

__all__ = ["constant_results", "specs_of", "stage_model", "tasks_of", "values_of", "without_defaults"]


def tasks_of(model: Model, refused: Collection[str]) -> list[Task]:
    """The nodes that run, in running order; those named in `refused` have no kernel.

    Constants are everybody's: they go where they are read. Nodes whose results nobody reads are left out.
    """
    tasks: list[Task] = []
    for node in model.ir.graph:
        if _is_constant_node(node) or not any(v.uses() or v.is_graph_output() for v in node.outputs):
            continue
        reads = tuple(dict.fromkeys(v.name or "" for v in _read(node, model.ir.graph) if not is_constant(v)))
        makes = tuple(v.name for v in node.outputs if v.name)
        name = node.name or ""
        tasks.append(Task(name, reads, makes, name not in refused))
    return tasks


def values_of(model: Model) -> dict[str, ir.Value]:
    """Inputs, constants and results of the main graph, by name."""
    graph = model.ir.graph
    found = [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
    return {v.name: v for v in found if v.name}


def stage_model(model: Model, stage: Stage, values: Mapping[str, ir.Value]) -> Model:
    """The nodes of a stage with the constants that they read; what comes from other stages becomes an input.

    Raises ValueError where a value crosses whose type nobody knows: no engine would take it.
    """
    graph = model.ir.graph
    inside = set(stage.nodes)
    members = [node for node in graph if node.name in inside]
    read = {v.name: v for node in members for v in _read(node, graph) if v.name and is_constant(v)}
    makers = {id(v.producer()) for v in read.values() if v.producer() is not None}
    for name in (*stage.inputs, *stage.outputs):
        if values[name].type is None:
            raise ValueError(f"the type of {name} is not known")
    view = ir.GraphView(
        [values[name] for name in stage.inputs],
        [values[name] for name in stage.outputs],
        nodes=[node for node in graph if node.name in inside or id(node) in makers],
        initializers=[v for v in read.values() if v.producer() is None],
        opset_imports=dict(graph.opset_imports),
        name=graph.name,
    )
    part = ir.Model(view.clone(), ir_version=model.ir.ir_version, functions=list(model.ir.functions.values()))
    return model.edited(part)


def without_defaults(model: Model) -> Model:
    """The model with constants in place of inputs that have a default: nobody gives another value here."""
    if not any(v.name in model.ir.graph.initializers for v in model.ir.graph.inputs):
        return model
    copy = copy_of(model.ir)
    asked = [v for v in copy.graph.inputs if v.name not in copy.graph.initializers]
    copy.graph.inputs.clear()
    copy.graph.inputs.extend(asked)
    return model.edited(copy)


def _is_constant_node(node: ir.Node) -> bool:
    return node.op_type == "Constant" and constant_tensor(node.outputs[0]) is not None


def _read(node: ir.Node, graph: ir.Graph) -> Iterator[ir.Value]:
    """Values of the main graph that a node reads, also those that only the graphs inside it name."""
    for value in (*node.inputs, *captured_values(node)):
        if value is not None and value.graph is graph:
            yield value


def specs_of(values: Sequence[ir.Value]) -> dict[str, TensorSpec]:
    """What inputs or outputs of a graph are, by name."""
    return {value.name or "": _spec(value) for value in values}


def _spec(value: ir.Value) -> TensorSpec:
    dims = () if value.shape is None else tuple(d if isinstance(d, int) else d.value for d in value.shape)
    if not isinstance(value.type, ir.TensorType):
        return TensorSpec(str(value_type(value)), dims)
    dtype = value.type.dtype
    return TensorSpec("string" if dtype == ir.DataType.STRING else dtype.numpy().name, dims)


def constant_results(model: Model) -> dict[str, NDArray[Any]]:
    """Outputs of a model that are constants. Raises ValueError for strings, which engines hold in their own way."""
    found: dict[str, NDArray[Any]] = {}
    for value in model.ir.graph.outputs:
        tensor = constant_tensor(value)
        if tensor is not None:
            if tensor.dtype == ir.DataType.STRING:
                raise ValueError(f"the output {value.name} is a constant of strings")
            found[value.name or ""] = np.array(tensor.numpy())
    return found
