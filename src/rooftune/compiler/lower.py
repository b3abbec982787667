"""From a rewritten graph to the operations that are compiled; what follows a convolution in registers joins it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.compiler.operations import Activation, Convolution, Dense, Mean, Operation, Pointwise, Pool, Route
from rooftune.graph.constants import constant_of, constant_tensor, is_constant
from rooftune.graph.model import Model
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.verdicts import Refusal

__all__ = ["Lowered", "Shape", "lower"]

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


def lower(model: Model) -> Lowered | Refusal:
    """The operations of a model; or the first thing that there is no operation for."""
    work = _Lowering(model)
    graph = model.ir.graph
    for value in graph.inputs:
        refused = work.input(value)
        if refused is not None:
            return refused
    for node in graph:
        if node.op_type == "Constant" and node.domain == "":
            continue
        take = _TAKES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        outcome = Refusal("there is no kernel for it", node.op_type) if take is None else take(work, node)
        if outcome is not None:
            return Refusal(f"{node.op_type} {node.name}: {outcome.reason}", node.name or node.op_type)
        work.lowered.nodes += 1
    for value in graph.outputs:
        name = value.name or ""
        if work.source(value) is None:
            return Refusal(f"the output {name} is no result of a kernel", name)
        work.lowered.outputs.append(name)
        work.lowered.found[name] = work.held[name]
        work.lowered.dims[name] = _dims(value) or ()
    return work.lowered


@dataclass(frozen=True)
class _Plan:
    """Channels of a value by the map they are in and their number there, and the nodes that say so."""

    nodes: tuple[str, ...]
    channels: tuple[tuple[str, int], ...]


class _Lowering:
    """The operations so far.

    held   the value of the program that holds a value of the graph
    flat   values of the graph that are a map by rows, with more than one pixel
    plans  values of the graph whose channels are those of several values: put together when somebody reads them
    made   where the operation stands that makes a value
    """

    def __init__(self, model: Model) -> None:
        self.lowered = Lowered()
        self.held: dict[str, str] = {}
        self.flat: dict[str, str] = {}
        self.plans: dict[str, _Plan] = {}
        self.made: dict[str, int] = {}

    def input(self, value: ir.Value) -> Refusal | None:
        name, dims = value.name or "", _dims(value)
        if dims is None or value.dtype != ir.DataType.FLOAT or len(dims) not in (2, 4) or 0 in dims:
            return Refusal(f"the input {name} is no fp32 matrix or map of known size", name)
        self.lowered.inputs.append(name)
        self.lowered.dims[name] = dims
        self.hold(value, name)
        return None

    def hold(self, value: ir.Value, name: str) -> None:
        dims = _dims(value)
        assert dims is not None
        shape = (*dims, 1, 1) if len(dims) == 2 else dims
        self.held[value.name or ""] = name
        self.lowered.shapes[name] = shape  # type: ignore[assignment]

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

    def plan(self, value: ir.Value | None) -> _Plan | None:
        """Where the channels of a map are; None where the value is none."""
        name = "" if value is None else value.name or ""
        if name in self.plans:
            return self.plans[name]
        held = self.source(value)
        if held is None:
            return None
        return _Plan((), tuple((held, channel) for channel in range(self.lowered.shapes[held][1])))

    def put_together(self, value: ir.Value, plan: _Plan) -> None:
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
        """The operation that makes a value nobody else reads."""
        if value is None or len(value.uses()) != 1 or value.is_graph_output():
            return None
        place = self.made.get(self.held.get(value.name or "", ""))
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


Take = Callable[[_Lowering, ir.Node], Refusal | None]


def _dims(value: ir.Value | None) -> tuple[int, ...] | None:
    kind = value_type(value)
    if not isinstance(kind, TensorType) or kind.dims is None or not all(isinstance(d, int) for d in kind.dims):
        return None
    return tuple(int(d) for d in kind.dims)


def _attribute(node: ir.Node, name: str, default: Any) -> Any:
    found = node.attributes.get(name)
    return default if found is None else found.value


def _weights(node: ir.Node, places: Mapping[str, int]) -> Refusal | None:
    for what, place in places.items():
        value = node.inputs[place] if len(node.inputs) > place else None
        if value is not None and (not is_constant(value) or value.is_graph_input() or value.dtype != ir.DataType.FLOAT):
            return Refusal(f"its {what} is no fp32 constant", node.name or "")
    return None


def _input(node: ir.Node, place: int) -> ir.Value | None:
    return node.inputs[place] if len(node.inputs) > place else None


def _pads(node: ir.Node, x: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int]) -> tuple[int, ...]:
    auto = _attribute(node, "auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto in ("NOTSET", ""):
        return tuple(int(p) for p in _attribute(node, "pads", (0, 0, 0, 0)))
    if auto == "VALID":
        return (0, 0, 0, 0)
    dilations = _attribute(node, "dilations", (1, 1))
    both = []
    for size, k, s, d in zip(x[2:], kernel, strides, dilations, strict=True):
        whole = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        small = whole // 2
        both.append((small, whole - small) if auto == "SAME_UPPER" else (whole - small, small))
    return (both[0][0], both[1][0], both[0][1], both[1][1])


def _conv(work: _Lowering, node: ir.Node) -> Refusal | None:
    x, dims, out = work.source(node.inputs[0]), _dims(node.inputs[0]), _dims(node.outputs[0])
    refused = _weights(node, {"weight": 1, "bias": 2})
    weight = constant_tensor(node.inputs[1])
    if refused is not None or x is None or dims is None or out is None or len(dims) != 4 or 0 in dims:
        return refused or Refusal("its input is no map of known size")
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    strides = tuple(int(s) for s in _attribute(node, "strides", (1, 1)))
    pads = _pads(node, dims, kernel, strides)  # type: ignore[arg-type]
    if min(pads) < 0:
        return Refusal("its pads are negative")
    groups = int(_attribute(node, "group", 1))
    if groups != 1 and not groups == dims[1] == out[1]:
        return Refusal(f"it has {groups} groups of several channels")
    operation = Convolution(
        nodes=(node.name or "",),
        x=x,
        y=node.outputs[0].name or "",
        weight=work.constant(node.inputs[1]),
        bias=work.constant(_input(node, 2)),
        kernel=kernel,
        strides=strides,  # type: ignore[arg-type]
        pads=pads,  # type: ignore[arg-type]
        dilations=tuple(int(d) for d in _attribute(node, "dilations", (1, 1))),  # type: ignore[arg-type]
        groups=groups,
    )
    work.put(operation, node.outputs[0])
    return None


def _activation(node: ir.Node) -> Activation | None:
    if node.op_type == "Relu":
        return Activation("relu")
    if node.op_type in ("HardSwish", "Sigmoid"):
        return Activation(node.op_type.lower())
    if node.op_type == "LeakyRelu":
        return Activation("leaky", float(_attribute(node, "alpha", 0.01)))
    if node.op_type == "HardSigmoid":
        return Activation("hardsigmoid", float(_attribute(node, "alpha", 0.2)), float(_attribute(node, "beta", 0.5)))
    bounds = [constant_of(_input(node, p)) if _input(node, p) is not None else None for p in (1, 2)]
    if len(node.inputs) == 1:
        low, high = _attribute(node, "min", None), _attribute(node, "max", None)
    else:
        absent = [_input(node, p) is None for p in (1, 2)]
        if any(b is None and not a for b, a in zip(bounds, absent, strict=True)):
            return None
        low, high = (None if b is None else float(b.reshape(-1)[0]) for b in bounds)
    if high is None and low == 0:
        return Activation("relu")
    infinite = float("inf")
    return Activation("clip", -infinite if low is None else float(low), infinite if high is None else float(high))


def _activate(work: _Lowering, node: ir.Node) -> Refusal | None:
    activation, before = _activation(node), work.last(node.inputs[0])
    if activation is None:
        return Refusal("its bounds are not known")
    y = node.outputs[0].name or ""
    if isinstance(before, Convolution | Dense | Pointwise) and not before.activation.kind:
        done = replace(before, nodes=(*before.nodes, node.name or ""), y=y, activation=activation)
        work.exchange(before, done, node.outputs[0])
        return None
    x = work.source(node.inputs[0])
    if x is None:
        return Refusal("its input is no map of known size")
    work.put(Pointwise((node.name or "",), x, y, activation=activation), node.outputs[0])
    return None


def _sum_or_product(work: _Lowering, node: ir.Node) -> Refusal | None:
    kind = {"Add": "add", "Mul": "mul"}[node.op_type]
    for place, value in enumerate(node.inputs):
        if is_constant(value) and value is not None and not value.is_graph_input():
            return _per_channel(work, node, node.inputs[1 - place], value, kind)
    dims, sources = [_dims(v) for v in node.inputs], [work.source(v) for v in node.inputs]
    y, name = node.outputs[0].name or "", node.name or ""
    if len(sources) != 2 or None in sources or None in dims:
        return Refusal("it does not join two maps")
    first, second = (s or "" for s in sources)
    if dims[0] != dims[1]:
        wide = 0 if dims[0] == _dims(node.outputs[0]) else 1
        if [*(dims[wide] or ())[:2], 1, 1] != [*(dims[1 - wide] or ())] or dims[wide] != _dims(node.outputs[0]):
            return Refusal("it does not join two maps of one size, or a map and one of one pixel")
        pair = (first, second) if wide == 0 else (second, first)
        work.put(Pointwise((name,), pair[0], y, kind, pair[1], spread=True), node.outputs[0])
        return None
    later = 0 if work.made.get(first, -1) > work.made.get(second, -1) else 1
    before = work.last(node.inputs[later])
    if kind == "add" and isinstance(before, Convolution) and not before.residual and not before.activation.kind:
        done = replace(before, nodes=(*before.nodes, name), y=y, residual=second if later == 0 else first)
        work.exchange(before, done, node.outputs[0])
    else:
        work.put(Pointwise((name,), first, y, kind, second), node.outputs[0])
    return None


def _per_channel(
    work: _Lowering, node: ir.Node, value: ir.Value | None, constant: ir.Value, kind: str
) -> Refusal | None:
    x, dims, numbers = work.source(value), _dims(value), constant_of(constant)
    if x is None or dims is None or dims != _dims(node.outputs[0]) or numbers is None or numbers.dtype != np.float32:
        return Refusal("it does not join a map and an fp32 constant")
    wide = numbers.reshape((1,) * (len(dims) - numbers.ndim) + numbers.shape)
    if wide.size != 1 and (wide.shape[1] != dims[1] or wide.size != dims[1]):
        return Refusal("its constant is not one number, or one per channel")
    name = f"{node.outputs[0].name} {kind}"
    work.lowered.constants[name] = ir.Tensor(np.broadcast_to(wide.reshape(-1), (dims[1],)).copy())
    scale, shift = (name, "") if kind == "mul" else ("", name)
    work.put(Pointwise((node.name or "",), x, node.outputs[0].name or "", scale=scale, shift=shift), node.outputs[0])
    return None


def _batch_normalization(work: _Lowering, node: ir.Node) -> Refusal | None:
    x = work.source(node.inputs[0])
    parts = [constant_of(v) for v in node.inputs[1:5]]
    if x is None or len(node.outputs) > 1 or any(p is None or p.dtype != np.float32 for p in parts):
        return Refusal("its input is no map of known size, or its parameters are no fp32 constants")
    scale, shift, mean, variance = (np.asarray(p, np.float64) for p in parts)
    gain = scale / np.sqrt(variance + float(_attribute(node, "epsilon", 1e-5)))
    y = node.outputs[0].name or ""
    for what, numbers in (("scale", gain), ("shift", shift - mean * gain)):
        work.lowered.constants[f"{y} {what}"] = ir.Tensor(numbers.astype(np.float32))
    work.put(Pointwise((node.name or "",), x, y, scale=f"{y} scale", shift=f"{y} shift"), node.outputs[0])
    return None


def _concat(work: _Lowering, node: ir.Node) -> Refusal | None:
    out = _dims(node.outputs[0])
    if out is None or int(_attribute(node, "axis", 1)) % len(out) != 1:
        return Refusal("it does not join channels")
    plans = [work.plan(v) for v in node.inputs]
    if any(p is None for p in plans):
        return Refusal("an input is no map")
    known = [p for p in plans if p is not None]
    nodes = tuple(dict.fromkeys((*(n for p in known for n in p.nodes), node.name or "")))
    work.plans[node.outputs[0].name or ""] = _Plan(nodes, tuple(c for p in known for c in p.channels))
    return None


def _split(work: _Lowering, node: ir.Node) -> Refusal | None:
    plan, sizes = work.plan(node.inputs[0]), [_dims(v) for v in node.outputs]
    dims = _dims(node.inputs[0])
    if plan is None or dims is None or None in sizes or int(_attribute(node, "axis", 0)) % len(dims) != 1:
        return Refusal("it does not split channels into parts of known size")
    start = 0
    for value, out in zip(node.outputs, sizes, strict=True):
        assert out is not None
        nodes = tuple(dict.fromkeys((*plan.nodes, node.name or "")))
        work.plans[value.name or ""] = _Plan(nodes, plan.channels[start : start + out[1]])
        start += out[1]
    return None


def _slice(work: _Lowering, node: ir.Node) -> Refusal | None:
    plan, dims = work.plan(node.inputs[0]), _dims(node.inputs[0])
    given = [constant_of(_input(node, p)) if _input(node, p) is not None else None for p in range(1, 5)]
    if plan is None or dims is None or given[0] is None or given[1] is None or given[2] is None:
        return Refusal("it does not take channels of a map")
    axes = [int(a) % len(dims) for a in given[2]]
    if axes != [1]:
        return Refusal("it does not take channels of a map")
    step = 1 if given[3] is None else int(given[3][0])
    channels = plan.channels[slice(int(given[0][0]), int(given[1][0]), step)] if step > 0 else ()
    if len(channels) != (_dims(node.outputs[0]) or (0, 0))[1]:
        return Refusal("it takes channels backwards")
    work.plans[node.outputs[0].name or ""] = _Plan((*plan.nodes, node.name or ""), channels)
    return None


def _pool(work: _Lowering, node: ir.Node) -> Refusal | None:
    x, dims, out = work.source(node.inputs[0]), _dims(node.inputs[0]), _dims(node.outputs[0])
    if x is None or dims is None or out is None or len(dims) != 4 or len(node.outputs) > 1:
        return Refusal("its input is no map of known size, or it gives indices")
    kernel = tuple(int(k) for k in _attribute(node, "kernel_shape", (1, 1)))
    strides = tuple(int(s) for s in _attribute(node, "strides", (1, 1)))
    if any(d != 1 for d in _attribute(node, "dilations", (1, 1))):
        return Refusal("it is dilated")
    pads = _pads(node, dims, kernel, strides)  # type: ignore[arg-type]
    counts = bool(_attribute(node, "count_include_pad", 0))
    reach = [(o - 1) * s + k - p for o, s, k, p in zip(out[2:], strides, kernel, pads[:2], strict=True)]
    if counts and any(r > d + p for r, d, p in zip(reach, dims[2:], pads[2:], strict=True)):
        return Refusal("windows beyond the padding are counted")
    kind = "max" if node.op_type == "MaxPool" else "mean"
    y = node.outputs[0].name or ""
    work.put(Pool((node.name or "",), x, y, kind, kernel, strides, pads, counts), node.outputs[0])  # type: ignore[arg-type]
    return None


def _mean(work: _Lowering, node: ir.Node) -> Refusal | None:
    x, dims = work.source(node.inputs[0]), _dims(node.inputs[0])
    if x is None or dims is None or len(dims) != 4:
        return Refusal("its input is no map of known size")
    if node.op_type == "ReduceMean":
        given = constant_of(_input(node, 1)) if len(node.inputs) > 1 else _attribute(node, "axes", None)
        axes = None if given is None else sorted(int(a) % 4 for a in given)
        if axes != [2, 3]:
            return Refusal("it is no mean over the pixels")
    work.put(Mean((node.name or "",), x, node.outputs[0].name or ""), node.outputs[0])
    return None


def _view(work: _Lowering, node: ir.Node) -> Refusal | None:
    """Reshape, Flatten, Squeeze: the same map, or a map by rows that only a matrix product may read."""
    value, name = node.inputs[0], node.outputs[0].name or ""
    dims, out, x = _dims(value), _dims(node.outputs[0]), work.source(value)
    if x is None or dims is None or out is None:
        return Refusal("its input is no map of known size")
    images, *rest = work.lowered.shapes[x]
    if len(out) not in (2, 4) or out[0] != images:
        return Refusal("it is no flattening of a map")
    if [d for d in out if d != 1] == [d for d in (images, *rest) if d != 1] and out[1] == rest[0]:
        work.held[name] = x
    elif len(out) == 2 and out[1] == rest[0] * rest[1] * rest[2]:
        work.held[name], work.flat[name] = x, x
    else:
        return Refusal("it is no flattening of a map")
    return None


def _dense(work: _Lowering, node: ir.Node) -> Refusal | None:
    dims = [_dims(v) for v in node.inputs[:2]]
    work.source(node.inputs[0])
    x = work.held.get(node.inputs[0].name or "") if node.inputs[0] is not None else None
    refused = _weights(node, {"matrix": 1, "bias": 2})
    if refused is not None or x is None or any(d is None or len(d) != 2 for d in dims):
        return refused or Refusal("it does not multiply a matrix by a constant one")
    plain = _attribute(node, "alpha", 1.0) == 1.0 and _attribute(node, "beta", 1.0) == 1.0
    if not plain or _attribute(node, "transA", 0):
        return Refusal("it has factors, or its input is transposed")
    out = _dims(node.outputs[0])
    bias = _dims(_input(node, 2)) if _input(node, 2) is not None else None
    if out is None or (bias is not None and [d for d in bias if d != 1] != [d for d in out[1:] if d != 1]):
        return Refusal("its bias is not one number per column")
    operation = Dense(
        nodes=(node.name or "",),
        x=x,
        y=node.outputs[0].name or "",
        weight=work.constant(node.inputs[1]),
        bias=work.constant(_input(node, 2)),
        transposed=bool(_attribute(node, "transB", 0)),
    )
    work.put(operation, node.outputs[0])
    return None


def _same(work: _Lowering, node: ir.Node) -> Refusal | None:
    name = "" if node.inputs[0] is None else node.inputs[0].name or ""
    y = node.outputs[0].name or ""
    if name in work.plans:
        work.plans[y] = work.plans[name]
        return None
    if name not in work.held:
        return Refusal("its input is no map")
    work.held[y] = work.held[name]
    if name in work.flat:
        work.flat[y] = work.flat[name]
    return None


_TAKES: Mapping[str, Take] = {
    "Add": _sum_or_product,
    "AveragePool": _pool,
    "BatchNormalization": _batch_normalization,
    "Clip": _activate,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _view,
    "Gemm": _dense,
    "GlobalAveragePool": _mean,
    "HardSigmoid": _activate,
    "HardSwish": _activate,
    "Identity": _same,
    "LeakyRelu": _activate,
    "MatMul": _dense,
    "MaxPool": _pool,
    "Mul": _sum_or_product,
    "ReduceMean": _mean,
    "Relu": _activate,
    "Reshape": _view,
    "Sigmoid": _activate,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _view,
}
