"""A model on its way to operations: which value holds what, and what is only a plan yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from rooftune.compiler.operations import Operation, Route
from rooftune.graph.constants import constant_tensor
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.verdicts import Refusal

__all__ = ["Lowered", "Lowering", "Plan", "Shape", "static_dims"]

Shape = tuple[int, int, int, int]
"""Images, channels, rows, columns; a matrix has one pixel per row."""


@dataclass
class Lowered:
    """A model as operations in running order.

    shapes            of every value that is held as a map
    dims              of inputs and outputs as the model declares them
    inputs, outputs   names; `found` says as which value an output is held
    constants         tensors that operations name
    nodes             how many nodes of the graph are in it
    """

    operations: list[Operation] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    dims: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    nodes: int = 0


@dataclass(frozen=True)
class Plan:
    """Channels of a value by the map they are in and their number there, and the nodes that say so."""

    nodes: tuple[str, ...]
    channels: tuple[tuple[str, int], ...]


class Lowering:
    """The operations of a model so far.

    held   the value of the program that holds a value of the graph
    flat   values of the graph that are maps of several pixels by rows
    plans  values of the graph whose channels are those of several values: put together when somebody reads them
    made   where the operation stands that makes a value
    """

    def __init__(self) -> None:
        self.lowered = Lowered()
        self.held: dict[str, str] = {}
        self.flat: set[str] = set()
        self.plans: dict[str, Plan] = {}
        self.made: dict[str, int] = {}

    def input(self, value: ir.Value) -> Refusal | None:
        name, dims = value.name or "", static_dims(value)
        if dims is None or value.dtype != ir.DataType.FLOAT or len(dims) not in (2, 4) or 0 in dims:
            return Refusal(f"the input {name} is no fp32 matrix or map of known size", name)
        self.lowered.inputs.append(name)
        self.lowered.dims[name] = dims
        self.hold(value, name)
        return None

    def hold(self, value: ir.Value, name: str) -> None:
        dims = static_dims(value)
        assert dims is not None and len(dims) in (2, 4)
        images, channels, height, width = (*dims, 1, 1)[:4]
        self.held[value.name or ""] = name
        self.lowered.shapes[name] = (images, channels, height, width)

    def put(self, operation: Operation, value: ir.Value) -> None:
        self.made[operation.y] = len(self.lowered.operations)
        self.lowered.operations.append(operation)
        self.hold(value, operation.y)

    def source(self, value: ir.Value | None) -> str | None:
        """The map that holds a value; None where it is none."""
        name = "" if value is None else value.name or ""
        if value is not None and name in self.plans:
            self.put_together(value, self.plans.pop(name))
        return None if name in self.flat else self.held.get(name)

    def plan(self, value: ir.Value | None) -> Plan | None:
        """Where the channels of a map are; None where the value is none."""
        name = "" if value is None else value.name or ""
        if name in self.plans:
            return self.plans[name]
        held = self.source(value)
        if held is None:
            return None
        return Plan((), tuple((held, channel) for channel in range(self.lowered.shapes[held][1])))

    def put_together(self, value: ir.Value, plan: Plan) -> None:
        """Hold a value whose channels are in several places."""
        sources = tuple(dict.fromkeys(name for name, _ in plan.channels))
        whole = tuple((sources[0], channel) for channel in range(self.lowered.shapes[sources[0]][1]))
        if plan.channels == whole:
            self.held[value.name or ""] = sources[0]
            return
        place = {name: i for i, name in enumerate(sources)}
        channels = tuple((place[name], channel) for name, channel in plan.channels)
        self.put(Route(plan.nodes, sources[0], value.name or "", sources, channels), value)

    def last(self, value: ir.Value | None) -> Operation | None:
        """The operation that makes a value nobody else reads, under this name or another."""
        if value is None or len(value.uses()) != 1 or value.is_graph_output():
            return None
        place = self.made.get(value.name or "")
        return None if place is None else self.lowered.operations[place]

    def exchange(self, old: Operation, new: Operation, value: ir.Value) -> None:
        """Let an operation do more, and make another value."""
        place = self.made.pop(old.y)
        self.lowered.operations[place] = new
        self.made[new.y] = place
        self.lowered.shapes.pop(old.y)
        self.hold(value, new.y)

    def constant(self, value: ir.Value | None) -> str:
        """The name of a weight; "" for one that is absent."""
        if value is None:
            return ""
        self.lowered.constants[value.name or ""] = constant_tensor(value)
        return value.name or ""


def static_dims(value: ir.Value | None) -> tuple[int, ...] | None:
    """The sizes of a tensor; None where one is open or the value is none."""
    kind = value_type(value)
    if not isinstance(kind, TensorType) or kind.dims is None or not all(isinstance(d, int) for d in kind.dims):
        return None
    return tuple(int(d) for d in kind.dims)
