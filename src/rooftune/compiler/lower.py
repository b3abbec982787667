"""From a rewritten graph to the operations that are compiled; what follows a convolution in registers joins it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lowering import Lowered, Lowering, Plan, static_dims
from rooftune.compiler.operations import Activation, Convolution, Dense, Mean, Pointwise, Pool
from rooftune.graph.constants import constant_of, constant_tensor, is_constant
from rooftune.graph.model import Model
from rooftune.verdicts import Refusal

__all__ = ["lower"]

Take = Callable[[Lowering, ir.Node], Refusal | None]
"""Takes a node in as operations; or says why there is none for it."""


def lower(model: Model) -> Lowered | Refusal:
    """The operations of a model; or the first thing that there is no operation for."""
    work = Lowering()
    graph = model.ir.graph
    for value in graph.inputs:
        refused = work.input(value)
        if refused is not None:
            return refused
    for node in graph:
        if node.op_type == "Constant" and node.domain == "":
            continue
        outcome = _taken(work, node)
        if outcome is not None:
            return Refusal(f"{node.op_type} {node.name}: {outcome.reason}", node.name or node.op_type)
        work.lowered.nodes += 1
    for value in graph.outputs:
        name = value.name or ""
        if work.source(value) is None:
            return Refusal(f"the output {name} is no result of a kernel", name)
        work.lowered.outputs.append(name)
        work.lowered.found[name] = work.held[name]
        work.lowered.dims[name] = static_dims(value) or ()
    return work.lowered


def _taken(work: Lowering, node: ir.Node) -> Refusal | None:
    take = _TAKES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if take is None:
        return Refusal("there is no kernel for it")
    if any(0 in (static_dims(v) or ()) for v in node.outputs):
        return Refusal("it makes an empty tensor")
    return take(work, node)


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


def _pair(node: ir.Node, name: str) -> tuple[int, int]:
    """Kernel sizes, strides or dilations of both axes; ones where nothing is said."""
    rows, columns = _attribute(node, name, (1, 1))
    return int(rows), int(columns)


def _pads(
    node: ir.Node, x: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Rows above, columns left, rows below, columns right."""
    auto = _attribute(node, "auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto in ("NOTSET", ""):
        top, left, bottom, right = (int(p) for p in _attribute(node, "pads", (0, 0, 0, 0)))
        return top, left, bottom, right
    if auto == "VALID":
        return (0, 0, 0, 0)
    dilations = _pair(node, "dilations")
    both = []
    for size, k, s, d in zip(x[2:], kernel, strides, dilations, strict=True):
        whole = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        small = whole // 2
        both.append((small, whole - small) if auto == "SAME_UPPER" else (whole - small, small))
    return (both[0][0], both[1][0], both[0][1], both[1][1])


def _conv(work: Lowering, node: ir.Node) -> Refusal | None:
    x, dims, out = work.source(node.inputs[0]), static_dims(node.inputs[0]), static_dims(node.outputs[0])
    refused = _weights(node, {"weight": 1, "bias": 2})
    weight = constant_tensor(node.inputs[1])
    if refused is not None or x is None or dims is None or out is None or len(dims) != 4 or 0 in dims:
        return refused or Refusal("its input is no map of known size")
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    strides = _pair(node, "strides")
    pads = _pads(node, dims, kernel, strides)
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
        strides=strides,
        pads=pads,
        dilations=_pair(node, "dilations"),
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


def _activate(work: Lowering, node: ir.Node) -> Refusal | None:
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


def _sum_or_product(work: Lowering, node: ir.Node) -> Refusal | None:
    kind = {"Add": "add", "Mul": "mul"}[node.op_type]
    for place, value in enumerate(node.inputs):
        if is_constant(value) and value is not None and not value.is_graph_input():
            return _per_channel(work, node, node.inputs[1 - place], value, kind)
    dims, sources = [static_dims(v) for v in node.inputs], [work.source(v) for v in node.inputs]
    y, name = node.outputs[0].name or "", node.name or ""
    if len(sources) != 2 or None in sources or None in dims:
        return Refusal("it does not join two maps")
    first, second = (s or "" for s in sources)
    if dims[0] != dims[1]:
        wide = 0 if dims[0] == static_dims(node.outputs[0]) else 1
        if [*(dims[wide] or ())[:2], 1, 1] != [*(dims[1 - wide] or ())] or dims[wide] != static_dims(node.outputs[0]):
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
    work: Lowering, node: ir.Node, value: ir.Value | None, constant: ir.Value, kind: str
) -> Refusal | None:
    x, dims, numbers = work.source(value), static_dims(value), constant_of(constant)
    if (
        x is None
        or dims is None
        or dims != static_dims(node.outputs[0])
        or numbers is None
        or numbers.dtype != np.float32
    ):
        return Refusal("it does not join a map and an fp32 constant")
    wide = numbers.reshape((1,) * (len(dims) - numbers.ndim) + numbers.shape)
    if wide.size != 1 and (wide.shape[1] != dims[1] or wide.size != dims[1]):
        return Refusal("its constant is not one number, or one per channel")
    name = f"{node.outputs[0].name} {kind}"
    work.lowered.constants[name] = ir.Tensor(np.broadcast_to(wide.reshape(-1), (dims[1],)).copy())
    scale, shift = (name, "") if kind == "mul" else ("", name)
    work.put(Pointwise((node.name or "",), x, node.outputs[0].name or "", scale=scale, shift=shift), node.outputs[0])
    return None


def _batch_normalization(work: Lowering, node: ir.Node) -> Refusal | None:
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


def _concat(work: Lowering, node: ir.Node) -> Refusal | None:
    out = static_dims(node.outputs[0])
    if out is None or int(_attribute(node, "axis", 1)) % len(out) != 1:
        return Refusal("it does not join channels")
    plans = [work.plan(v) for v in node.inputs]
    if any(p is None for p in plans):
        return Refusal("an input is no map")
    known = [p for p in plans if p is not None]
    nodes = tuple(dict.fromkeys((*(n for p in known for n in p.nodes), node.name or "")))
    work.plans[node.outputs[0].name or ""] = Plan(nodes, tuple(c for p in known for c in p.channels))
    return None


def _split(work: Lowering, node: ir.Node) -> Refusal | None:
    plan, sizes = work.plan(node.inputs[0]), [static_dims(v) for v in node.outputs]
    dims = static_dims(node.inputs[0])
    if plan is None or dims is None or None in sizes or int(_attribute(node, "axis", 0)) % len(dims) != 1:
        return Refusal("it does not split channels into parts of known size")
    start = 0
    for value, out in zip(node.outputs, sizes, strict=True):
        assert out is not None
        nodes = tuple(dict.fromkeys((*plan.nodes, node.name or "")))
        work.plans[value.name or ""] = Plan(nodes, plan.channels[start : start + out[1]])
        start += out[1]
    return None


def _slice(work: Lowering, node: ir.Node) -> Refusal | None:
    plan, dims = work.plan(node.inputs[0]), static_dims(node.inputs[0])
    given = [constant_of(_input(node, p)) if _input(node, p) is not None else None for p in range(1, 5)]
    if plan is None or dims is None or given[0] is None or given[1] is None or given[2] is None:
        return Refusal("it does not take channels of a map")
    axes = [int(a) % len(dims) for a in given[2]]
    if axes != [1]:
        return Refusal("it does not take channels of a map")
    step = 1 if given[3] is None else int(given[3][0])
    channels = plan.channels[slice(int(given[0][0]), int(given[1][0]), step)] if step > 0 else ()
    if len(channels) != (static_dims(node.outputs[0]) or (0, 0))[1]:
        return Refusal("it takes channels backwards")
    work.plans[node.outputs[0].name or ""] = Plan((*plan.nodes, node.name or ""), channels)
    return None


def _pool(work: Lowering, node: ir.Node) -> Refusal | None:
    x, dims, out = work.source(node.inputs[0]), static_dims(node.inputs[0]), static_dims(node.outputs[0])
    if x is None or dims is None or out is None or len(dims) != 4 or len(node.outputs) > 1:
        return Refusal("its input is no map of known size, or it gives indices")
    kernel, strides = _pair(node, "kernel_shape"), _pair(node, "strides")
    if _pair(node, "dilations") != (1, 1):
        return Refusal("it is dilated")
    pads = _pads(node, dims, kernel, strides)
    if min(pads) < 0:
        return Refusal("its pads are negative")
    counts = bool(_attribute(node, "count_include_pad", 0))
    reach = [(o - 1) * s + k - p for o, s, k, p in zip(out[2:], strides, kernel, pads[:2], strict=True)]
    if counts and any(r > d + p for r, d, p in zip(reach, dims[2:], pads[2:], strict=True)):
        return Refusal("windows beyond the padding are counted")
    kind = "max" if node.op_type == "MaxPool" else "mean"
    y = node.outputs[0].name or ""
    work.put(Pool((node.name or "",), x, y, kind, kernel, strides, pads, counts), node.outputs[0])
    return None


def _mean(work: Lowering, node: ir.Node) -> Refusal | None:
    x, dims = work.source(node.inputs[0]), static_dims(node.inputs[0])
    if x is None or dims is None or len(dims) != 4:
        return Refusal("its input is no map of known size")
    if node.op_type == "ReduceMean":
        given = constant_of(_input(node, 1)) if len(node.inputs) > 1 else _attribute(node, "axes", None)
        axes = None if given is None else sorted(int(a) % 4 for a in given)
        if axes != [2, 3]:
            return Refusal("it is no mean over the pixels")
    work.put(Mean((node.name or "",), x, node.outputs[0].name or ""), node.outputs[0])
    return None


def _view(work: Lowering, node: ir.Node) -> Refusal | None:
    """Reshape, Flatten, Squeeze: the same map, or a map by rows that only a matrix product may read."""
    value, name = node.inputs[0], node.outputs[0].name or ""
    dims, out, x = static_dims(value), static_dims(node.outputs[0]), work.source(value)
    if x is None or dims is None or out is None:
        return Refusal("its input is no map of known size")
    images, channels, height, width = work.lowered.shapes[x]
    if len(out) in (2, 4) and (*out, 1, 1)[:4] == (images, channels, height, width):
        work.held[name] = x
    elif out == (images, channels * height * width):
        work.held[name] = x
        work.flat.add(name)
    else:
        return Refusal("it is no flattening of a map")
    return None


def _dense(work: Lowering, node: ir.Node) -> Refusal | None:
    dims = [static_dims(v) for v in node.inputs[:2]]
    work.source(node.inputs[0])
    x = work.held.get(node.inputs[0].name or "") if node.inputs[0] is not None else None
    refused = _weights(node, {"matrix": 1, "bias": 2})
    if refused is not None or x is None or any(d is None or len(d) != 2 for d in dims):
        return refused or Refusal("it does not multiply a matrix by a constant one")
    plain = _attribute(node, "alpha", 1.0) == 1.0 and _attribute(node, "beta", 1.0) == 1.0
    if not plain or _attribute(node, "transA", 0):
        return Refusal("it has factors, or its input is transposed")
    out = static_dims(node.outputs[0])
    bias = _input(node, 2)
    if out is None or (bias is not None and static_dims(bias) not in ((out[1],), (1, out[1]))):
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


def _same(work: Lowering, node: ir.Node) -> Refusal | None:
    name = "" if node.inputs[0] is None else node.inputs[0].name or ""
    y = node.outputs[0].name or ""
    if name in work.plans:
        work.plans[y] = work.plans[name]
        return None
    if name not in work.held:
        return Refusal("its input is no map")
    work.held[y] = work.held[name]
    if name in work.flat:
        work.flat.add(y)
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
