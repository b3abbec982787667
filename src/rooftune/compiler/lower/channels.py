"""Concat, Split, Slice, Gather: channels become plans that nobody carries out before he must, parts become views."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.compiler.lower.embeddings import embed
from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lowering import Lowering, Plan, static_dims
from rooftune.compiler.operations import Stack
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, View, narrowed, whole_view
from rooftune.graph.constants import constant_of, constant_tensor, is_constant
from rooftune.verdicts import Refusal

__all__ = ["TAKES", "Part", "parts_of"]

Part = tuple[int, int, int]
"""Some indices of a dimension: first, count, step."""


def _concat(work: Lowering, node: ir.Node) -> Refusal | None:
    out = static_dims(node.outputs[0])
    if out is None or any(static_dims(v) is None or 0 in (static_dims(v) or ()) for v in node.inputs):
        return Refusal("it joins tensors of unknown size, or without elements")
    dim = int(attribute(node, "axis", 0)) % len(out)
    name = node.outputs[0].name or ""
    if len(node.inputs) == 1:
        return _same(work, node)
    plans = [work.plan(v, dim) for v in node.inputs]
    known = [p for p in plans if p is not None]
    if len(known) == len(plans) and all(_alike(work, p, known[0]) for p in known):
        nodes = tuple(dict.fromkeys((*(n for p in known for n in p.nodes), node.name or "")))
        work.plans[name] = Plan(nodes, tuple(c for p in known for c in p.channels), dim, known[0].like)
        return None
    return _stack(work, node, out, dim)


def _alike(work: Lowering, one: Plan, other: Plan) -> bool:
    """True where two plans lie alike but for their channels."""
    shapes = [work.lowered.shapes[p.channels[0][0]] for p in (one, other)]
    apart = [(*p.like.dims[: p.dim], *p.like.dims[p.dim + 1 :]) for p in (one, other)]
    return apart[0] == apart[1] and [(s[0], *s[2:]) for s in shapes] == [(shapes[0][0], *shapes[0][2:])] * 2


def _stack(work: Lowering, node: ir.Node, out: Sequence[int], dim: int) -> Refusal | None:
    """Tensors one after another in a dimension of pixels."""
    axes = {3: (IMAGE, COLUMN, CHANNEL), 4: (IMAGE, CHANNEL, ROW, COLUMN)}.get(len(out))
    if axes is None or axes[dim] == CHANNEL or (len(out) == 4 and axes[dim] != ROW):
        return Refusal("it does not join channels, rows, or tokens")
    if axes[dim] == IMAGE:
        return Refusal("it joins batches")
    sources = []
    for value in node.inputs:
        view = work.view(value)
        if view is None:
            return Refusal("an input is no map")
        shape = work.lowered.shapes[view.held]
        wanted = whole_view(view.held, view.sizes, axes)[0]
        pixels = view.covers(shape) and [f for f in view.dims[dim] if f.axis not in (ROW, COLUMN)] == []
        rest = [d for i, d in enumerate(view.dims) if i != dim] == [d for i, d in enumerate(wanted.dims) if i != dim]
        # pixels in order of rows are tokens already
        found = view.held if pixels and rest and _ordered(view, dim, shape) else work.map(value, axes)
        if found is None:
            return Refusal("an input would have to be moved about")
        sources.append(found)
    name = node.outputs[0].name or ""
    work.put(Stack((node.name or "",), sources[0], name, tuple(sources)), node.outputs[0], axes)
    return None


def _ordered(view: View, dim: int, shape: Sequence[int]) -> bool:
    """True where a dimension runs over all pixels row by row."""
    factors = [(f.axis, f.size) for f in view.dims[dim]]
    return factors == [(axis, shape[axis]) for axis in (ROW, COLUMN) if shape[axis] > 1]


def _split(work: Lowering, node: ir.Node) -> Refusal | None:
    dims = static_dims(node.inputs[0])
    dim = int(attribute(node, "axis", 0)) % len(dims) if dims else 0
    counts = _counts(node, dim)
    if dims is None or counts is None or len(counts) != len(node.outputs):
        return Refusal("it does not split into parts of known size")
    for place, (value, count) in enumerate(zip(node.outputs, counts, strict=True)):
        refused = _part(work, node, value, dim, (sum(counts[:place]), count, 1)) if value.name else None
        if refused is not None:
            return refused
    return None


def _counts(node: ir.Node, dim: int) -> list[int] | None:
    """How many indices every part has: what the node says (an absent output has no size), or what was inferred."""
    said = constant_of(value) if (value := input_of(node, 1)) is not None else attribute(node, "split", None)
    if said is not None:
        return [int(count) for count in np.reshape(said, -1)]
    sizes = [static_dims(value) for value in node.outputs]
    return None if None in sizes else [size[dim] for size in sizes if size is not None]


def _part(work: Lowering, node: ir.Node, value: ir.Value, dim: int, part: Part) -> Refusal | None:
    """Some indices of a dimension: first, count, step."""
    first, count, step = part
    x, name = node.inputs[0], value.name or ""
    planned = "" if x is None else x.name or ""
    view = None if planned in work.plans else work.view(x)
    if _is_image(work, view) or planned in work.plans:
        plan = work.plan(x, dim)
        if plan is not None:
            nodes = tuple(dict.fromkeys((*plan.nodes, node.name or "")))
            channels = plan.channels[first : first + (count - 1) * step + 1 : step]
            work.plans[name] = Plan(nodes, channels, dim, plan.like)
            return None
        view = work.view(x)
    found = None if view is None else narrowed(view, dim, first, count, step)
    if found is None:
        return Refusal("it takes parts that lie apart")
    work.views[name] = found
    return None


def _is_image(work: Lowering, view: View | None) -> bool:
    """True for N×C×H×W: parts of its channels are put together with others by those who read them."""
    return view is not None and len(view.dims) == 4 and view.only(1, CHANNEL)


def parts_of(node: ir.Node) -> list[tuple[int, Part]] | Refusal:
    """What a Slice takes of every dimension that it does not take whole."""
    dims, out = static_dims(node.inputs[0]), static_dims(node.outputs[0])
    given = [constant_of(value) if (value := input_of(node, p)) is not None else None for p in range(1, 5)]
    if dims is None or out is None or given[0] is None or given[1] is None:
        return Refusal("what it takes is not known")
    starts = [int(n) for n in given[0].reshape(-1)]
    axes = list(range(len(starts))) if given[2] is None else [int(a) % len(dims) for a in given[2].reshape(-1)]
    steps = [1] * len(starts) if given[3] is None else [int(s) for s in given[3].reshape(-1)]
    taken = [
        (axis, (max(start + dims[axis], 0) if start < 0 else start, out[axis], step))
        for axis, start, step in zip(axes, starts, steps, strict=True)
        if out[axis] != dims[axis] or step < 0
    ]
    return Refusal("it takes indices backwards") if any(part[2] < 0 for _, part in taken) else taken


def _slice(work: Lowering, node: ir.Node) -> Refusal | None:
    taken = parts_of(node)
    if isinstance(taken, Refusal):
        return taken
    if not taken:
        return _same(work, node)
    if len(taken) == 1:
        return _part(work, node, node.outputs[0], *taken[0])
    view = work.view(node.inputs[0])
    for axis, part in taken:
        view = None if view is None else narrowed(view, axis, *part)
    if view is None:
        return Refusal("it takes parts that lie apart")
    work.views[node.outputs[0].name or ""] = view
    return None


def _gather(work: Lowering, node: ir.Node) -> Refusal | None:
    value, where = node.inputs[0], constant_of(input_of(node, 1))
    if where is None:
        return embed(work, node)
    dims = static_dims(value)
    if dims is None or where.size == 0:
        return Refusal("the size of its input is not known, or it selects nothing")
    if value is not None and is_constant(value) and not value.is_graph_input():
        return _known_rows(work, node, where)
    dim = int(attribute(node, "axis", 0)) % len(dims)
    indices = [int(i) % dims[dim] for i in where.reshape(-1)]
    steps = {b - a for a, b in itertools.pairwise(indices)} or {1}
    name = node.outputs[0].name or ""
    if where.ndim == 0:
        view = work.view(value)
        found = None if view is None else narrowed(view, dim, indices[0], 1)
        if found is None:
            return Refusal("its input is no map")
        work.views[name] = replace(found, dims=(*found.dims[:dim], *found.dims[dim + 1 :]))
        return None
    if where.ndim != 1:
        return Refusal("its indices have several dimensions")
    if len(steps) == 1 and min(steps) > 0 and not _is_image(work, work.view(value)):
        return _part(work, node, node.outputs[0], dim, (indices[0], len(indices), min(steps)))
    plan = work.plan(value, dim)
    if plan is None:
        return Refusal("it takes parts that lie apart")
    work.plans[name] = Plan((*plan.nodes, node.name or ""), tuple(plan.channels[i] for i in indices), dim, plan.like)
    return None


def _known_rows(work: Lowering, node: ir.Node, where: NDArray[Any]) -> Refusal | None:
    """A part of a constant that is known ahead, such as the positions of tokens."""
    axis, table = int(attribute(node, "axis", 0)), np.asarray(constant_tensor(node.inputs[0]).numpy())
    if table.dtype != np.float32 or where.min() < -table.shape[axis] or where.max() >= table.shape[axis]:
        return Refusal("it does not select what is there of an fp32 constant")
    work.fix(node.outputs[0], np.take(table, where, axis))
    return None


def _same(work: Lowering, node: ir.Node) -> Refusal | None:
    source = "" if node.inputs[0] is None else node.inputs[0].name or ""
    name = node.outputs[0].name or ""
    if source in work.plans:
        work.plans[name] = work.plans[source]
        return None
    view = work.view(node.inputs[0])
    if view is None:
        return Refusal("its input is no map")
    work.views[name] = view
    return None


TAKES: Mapping[str, Take] = {
    "Concat": _concat,
    "Gather": _gather,
    "Identity": _same,
    "Slice": _slice,
    "Split": _split,
}
