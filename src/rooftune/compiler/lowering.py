"""A model on its way to operations: which value holds what, and what is only a plan yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.compiler.operations import Floats, Integers, Operation, Rearrange, Route
from rooftune.compiler.views import (
    CHANNEL,
    COLUMN,
    IMAGE,
    ROW,
    Factor,
    Shape,
    View,
    broadcast,
    default_axes,
    joined,
    reshaped,
    whole_view,
)
from rooftune.graph.constants import constant_tensor, is_constant
from rooftune.graph.model import Model
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.verdicts import Refusal

__all__ = ["INTEGERS", "Lowered", "Lowering", "Pieces", "Plan", "Shape", "pieces_of", "static_dims"]

Pieces = tuple[tuple[Factor, ...], ...]
"""For every axis of a map what its index is made of, in another map."""

_MOST_FACTORS = 12
"""Loops a copy may have."""


@dataclass
class Lowered:
    """A model as operations in running order.

    shapes            of every value that is held as a map
    inputs            names; `found` says how inputs and outputs lie in their maps, `dims` what the model declares
    outputs           names
    integers          element types of the inputs that are read as they are given, by name: there are no maps of these
    constants         tensors that operations name
    fixed             values that are known ahead, as [image, channel, row, column]
    nodes             how many nodes of the graph are in it
    """

    operations: list[Operation] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    dims: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    integers: dict[str, str] = field(default_factory=dict)
    found: dict[str, View] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, Floats] = field(default_factory=dict)
    nodes: int = 0


@dataclass(frozen=True)
class Plan:
    """A tensor whose channels are in several places: the map and the number there of each, and the nodes that say so.

    dim    the dimension that counts channels
    dims   of a source, which lies like the whole will but for that dimension
    """

    nodes: tuple[str, ...]
    channels: tuple[tuple[str, int], ...]
    dim: int
    like: View


class Lowering:
    """The operations of a model so far.

    views     how values of the graph lie in values of the program
    plans     values of the graph whose channels are those of several values: put together when somebody reads them
    integers  values of the graph that are read in the array of an input
    made      where the operation stands that makes a value
    gates     sigmoids that are computed by whoever multiplies with them, by their value
    opsets    versions of operators by domain, the standard one as ""
    truths    values made of integers for several readers, by what they are made of
    """

    def __init__(self, model: Model) -> None:
        self.lowered = Lowered()
        self.views: dict[str, View] = {}
        self.plans: dict[str, Plan] = {}
        self.integers: dict[str, Integers] = {}
        self.made: dict[str, int] = {}
        self.gates: dict[str, str] = {}
        self.truths: dict[Integers, ir.Value] = {}
        graph = model.ir.graph
        self.opsets = {("" if domain == "ai.onnx" else domain): v for domain, v in graph.opset_imports.items()}
        made = (value for node in graph for value in node.outputs)
        self._names = {value.name for value in (*graph.inputs, *graph.initializers.values(), *made)}
        self._copies: dict[tuple[View, Shape, Pieces], str] = {}

    def fresh(self, name: str) -> str:
        """A name that nothing has yet: this one, or one like it."""
        found, number = name, 1
        while found in self._names:
            found, number = f"{name} {number}", number + 1
        self._names.add(found)
        return found

    def input(self, value: ir.Value) -> Refusal | None:
        """Let the program be given a value."""
        name, dims = value.name or "", static_dims(value)
        if dims is None or value.dtype not in (ir.DataType.FLOAT, *INTEGERS) or 0 in dims:
            return Refusal(f"the input {name} is no tensor of known size of fp32 numbers or integers", name)
        if value.dtype in INTEGERS:
            return self._input_of_integers(value, name, dims)
        # three dimensions are rows of tokens, or channels of a signal if a convolution reads them
        signal = len(dims) == 3 and any(n.op_type in _SIGNALS for n, _ in value.uses())
        axes = (IMAGE, CHANNEL, COLUMN) if signal else default_axes(len(dims))
        self.lowered.inputs.append(name)
        self.lowered.dims[name] = dims
        self.hold(value, name, axes)
        self.lowered.found[name] = self.views[name]
        return None

    def _input_of_integers(self, value: ir.Value, name: str, dims: tuple[int, ...]) -> Refusal | None:
        """Let the program read an array of integers where the caller has it."""
        view, _ = whole_view(name, dims, (IMAGE,) * len(dims))
        refused = self.read(value, Integers(INTEGERS[value.dtype], view))
        if refused is None:
            self.lowered.inputs.append(name)
            self.lowered.dims[name] = dims
            self.lowered.integers[name] = INTEGERS[value.dtype]
        return refused

    def read(self, value: ir.Value, integers: Integers) -> Refusal | None:
        """Let a value be read in the array of an input, unless it tells others what they must know beforehand."""
        for node, place in value.uses():
            first = node.inputs[0]
            asks = place > 0 and first is not None and first.dtype == ir.DataType.FLOAT and node.op_type != "Gather"
            if asks:
                why = f"the input {value.name} says how {node.op_type} {node.name} works, which must be known"
                return Refusal(why, value.name or "")
        self.integers[value.name or ""] = integers
        return None

    def output(self, value: ir.Value) -> Refusal | None:
        """Let the program give a value away; once, however often a model lists it."""
        name, view = value.name or "", self.view(value)
        if name in self.lowered.outputs:
            return None
        if view is None:
            return Refusal(f"the output {name} is no result of a kernel", name)
        if view.scale != 1.0:
            view = self.whole(value)
        assert view is not None
        self.lowered.outputs.append(name)
        self.lowered.found[name] = view
        self.lowered.dims[name] = static_dims(value) or ()
        return None

    def hold(self, value: ir.Value, name: str, axes: Sequence[int] | None = None) -> None:
        """A value has a map of its own, made for its dimensions, each on its axis."""
        dims = static_dims(value)
        assert dims is not None
        view, shape = whole_view(name, dims, default_axes(len(dims)) if axes is None else axes)
        self.views[value.name or ""] = view
        self.lowered.shapes[name] = shape

    def put(self, operation: Operation, value: ir.Value, axes: Sequence[int] | None = None) -> None:
        """An operation that makes a value, with every dimension of it on its axis."""
        self._append(operation)
        self.hold(value, operation.y, axes)

    def put_like(self, operation: Operation, value: ir.Value, view: View, channels: int | None = None) -> None:
        """An operation whose result lies like a whole view, perhaps with another number of channels (the last
        dimension)."""
        self._append(operation)
        images, before, height, width = self.lowered.shapes[view.held]
        dims = view.dims
        if channels is not None:
            dims = (*dims[:-1], (Factor(channels, CHANNEL, 1),) if channels > 1 else ())
        self.views[value.name or ""] = View(operation.y, dims)
        self.lowered.shapes[operation.y] = (images, before if channels is None else channels, height, width)

    def _append(self, operation: Operation) -> None:
        self.made[operation.y] = len(self.lowered.operations)
        self.lowered.operations.append(operation)

    # reading

    def view(self, value: ir.Value | None) -> View | None:
        """How a value lies; None where no map holds it. What is only planned is put together, constants become maps."""
        name = "" if value is None else value.name or ""
        if value is not None and name in self.plans:
            self._put_together(value, self.plans.pop(name))
        if value is not None and name not in self.views and is_constant(value) and not value.is_graph_input():
            self._fix_constant(value)
        return self.views.get(name)

    def whole(self, value: ir.Value | None) -> View | None:
        """A view of the value that shows all of its map: for what treats all numbers alike."""
        view = self.view(value)
        if view is None or view.covers(self.lowered.shapes[view.held]):
            return view
        return self.arranged(view, default_axes(len(view.dims)))

    def map(self, value: ir.Value | None, axes: Sequence[int] | None = None) -> str | None:
        """The map that holds a value and nothing else, each of its dimensions on the axis given (by default those of
        images, or of rows)."""
        view = self.view(value)
        if view is None:
            return None
        wanted = tuple(default_axes(len(view.dims)) if axes is None else axes)
        found = self.arranged(view, wanted)
        return None if found is None else found.held

    def rows(self, value: ir.Value | None) -> View | None:
        """A view of the value whose last dimension is the channels of its map in their order: for what treats rows
        alike."""
        view = self.view(value)
        if view is None or not view.dims:
            return None
        last = len(view.dims) - 1
        # a dimension of several factors on one axis counts in another order
        if view.covers(self.lowered.shapes[view.held]) and view.only(last, CHANNEL) and len(view.dims[last]) <= 1:
            return view
        axes: tuple[int, ...] = default_axes(len(view.dims))
        if len(view.dims) == 4:
            axes = (IMAGE, ROW, COLUMN, CHANNEL)
        return self.arranged(view, axes)

    def like(self, value: ir.Value | None, other: View) -> str | None:
        """The map that holds a value, repeated where it is smaller, lying as another whole view does."""
        view = self.view(value)
        if view is None or len(view.dims) > len(other.dims):
            return None
        wide = broadcast(view, other.sizes)
        if wide.dims == other.dims and wide.covers(self.lowered.shapes[wide.held]):
            return wide.held
        return self._copied(wide, other)

    def arranged(self, view: View, axes: tuple[int, ...]) -> View | None:
        """The same tensor with each dimension on its axis of a map of its own; None where no loop could move it so."""
        wanted, shape = whole_view(view.held, view.sizes, axes)
        if view == wanted and self.lowered.shapes[view.held] == shape:
            return view
        name = self._copied(view, wanted, shape)
        return None if name is None else replace(wanted, held=name)

    def _copied(self, view: View, wanted: View, shape: Shape | None = None) -> str | None:
        """A new map that holds a view in another order; None where there is no loop for it."""
        pieces = pieces_of(view, wanted)
        if pieces is None:
            return None
        shape = self.lowered.shapes[wanted.held] if shape is None else shape
        key = (view, shape, pieces)
        if key in self._copies:
            return self._copies[key]
        name = self.fresh(f"{view.held} copy")
        self._copies[key] = name
        self.lowered.shapes[name] = shape
        self._append(Rearrange((), view.held, name, pieces, view.start, view.scale))
        return name

    def _fix_constant(self, value: ir.Value) -> None:
        if value.dtype == ir.DataType.FLOAT and math.prod(static_dims(value) or (0,)) > 0:
            self.fix(value, np.asarray(constant_tensor(value).numpy()))

    def fix(self, value: ir.Value, numbers: Floats) -> None:
        """A value is known ahead: its map lies among the weights."""
        view, shape = whole_view(value.name or "", numbers.shape, axes := default_axes(numbers.ndim))
        order = sorted(range(numbers.ndim), key=lambda d: axes[d])
        self.lowered.fixed[view.held] = numbers.transpose(order).reshape(shape)
        self.lowered.shapes[view.held] = shape
        self.views[view.held] = view

    # channels in several places

    def flat(self, held: str) -> tuple[View, int]:
        """A map of channels only, as a row, and how many they are."""
        count = self.lowered.shapes[held][1]
        return View(held, ((Factor(count, CHANNEL, 1),),)), count

    def plan(self, value: ir.Value | None, dim: int) -> Plan | None:
        """Where the channels of a value are, counted by a dimension; None where that does not count channels."""
        name = "" if value is None else value.name or ""
        if name in self.plans and self.plans[name].dim == dim:
            return self.plans[name]
        view = self.view(value)
        if view is None or not view.covers(self.lowered.shapes[view.held]) or not view.only(dim, CHANNEL):
            axes = default_axes(0 if view is None else len(view.dims))
            view = None if view is None or dim >= len(axes) or axes[dim] != CHANNEL else self.arranged(view, axes)
        return None if view is None or not view.only(dim, CHANNEL) else self.plan_of(view, dim)

    def plan_of(self, view: View, dim: int) -> Plan:
        """The channels of a view that shows all of its map, in the order of a dimension."""
        numbers = [0]
        for factor in view.dims[dim]:
            numbers = [n + i * factor.step for n in numbers for i in range(factor.size)]
        return Plan((), tuple((view.held, n) for n in numbers), dim, view)

    def _put_together(self, value: ir.Value, plan: Plan) -> None:
        """Hold a value whose channels are in several places."""
        sources = tuple(dict.fromkeys(name for name, _ in plan.channels))
        channels = len(plan.channels)
        counted = (Factor(channels, CHANNEL, 1),) if channels > 1 else ()
        dims = (*plan.like.dims[: plan.dim], counted, *plan.like.dims[plan.dim + 1 :])
        name = value.name or ""
        if plan.channels == tuple((sources[0], n) for n in range(self.lowered.shapes[sources[0]][1])):
            self.views[name] = View(sources[0], dims)
            return
        place = {source: i for i, source in enumerate(sources)}
        images, _, height, width = self.lowered.shapes[sources[0]]
        self.lowered.shapes[name] = (images, channels, height, width)
        self._append(Route(plan.nodes, sources[0], name, sources, tuple((place[s], n) for s, n in plan.channels)))
        self.views[name] = View(name, dims)

    # joining operations

    def last(self, value: ir.Value | None, readers: int = 1) -> Operation | None:
        """The operation that makes a value nobody else reads than these."""
        if value is None or len(value.uses()) != readers or value.is_graph_output():
            return None
        place = self.made.get(value.name or "")
        return None if place is None else self.lowered.operations[place]

    def exchange(self, old: Operation, new: Operation, value: ir.Value) -> None:
        """Let an operation do more, and make another value of the same shape."""
        place = self.made.pop(old.y)
        self.lowered.operations[place] = new
        self.made[new.y] = place
        self.lowered.shapes[new.y] = self.lowered.shapes.pop(old.y)
        self.views[value.name or ""] = replace(self.views.pop(old.y), held=new.y)

    def invent(self, name: str, numbers: Floats) -> str:
        """The name of a weight that is in no model: like this one."""
        found = self.fresh(name)
        self.lowered.constants[found] = ir.Tensor(np.ascontiguousarray(numbers, np.float32))
        return found

    def constant(self, value: ir.Value | None) -> str:
        """The name of a weight; "" for one that is absent."""
        if value is None:
            return ""
        self.lowered.constants[value.name or ""] = constant_tensor(value)
        return value.name or ""


_SIGNALS = frozenset({"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
INTEGERS: Mapping[ir.DataType | None, str] = {
    ir.DataType.BOOL: "bool",
    ir.DataType.INT32: "int32",
    ir.DataType.INT64: "int64",
    ir.DataType.UINT8: "uint8",
}
"""Element types of inputs that are read as they are given."""


def pieces_of(view: View, wanted: View) -> Pieces | None:
    """For every axis of the wanted map the factors of the view that it runs through, the slowest first; None where
    there are no loops for it, or too many."""
    axes: list[list[tuple[int, tuple[Factor, ...]]]] = [[], [], [], []]
    for have, want in zip(view.dims, wanted.dims, strict=True):
        split = reshaped(View("", (have,)), [f.size for f in want])
        if split is None:
            return None
        for factor, parts in zip(want, split.dims, strict=True):
            axes[factor.axis].append((factor.step, parts))
    found = tuple(joined([f for _, parts in sorted(axis, key=lambda a: -a[0]) for f in parts]) for axis in axes)
    return None if sum(map(len, found)) > _MOST_FACTORS else found


def static_dims(value: ir.Value | None) -> tuple[int, ...] | None:
    """The sizes of a tensor; None where one is open or the value is none."""
    kind = value_type(value)
    if not isinstance(kind, TensorType) or kind.dims is None or not all(isinstance(d, int) for d in kind.dims):
        return None
    return tuple(int(d) for d in kind.dims)
