"""Gemm and MatMul: by a constant matrix, or of two tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of, weights
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Convolution, Dense, Product
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW, View, broadcast, transposed, whole_view
from rooftune.graph.constants import constant_tensor, is_constant
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_LANES = 16
"""Numbers in the widest vector."""


def _gemm(work: Lowering, node: ir.Node) -> Refusal | None:
    refused = weights(node, {"matrix": 1, "bias": 2})
    if refused is not None:
        return refused
    plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
    if not plain or attribute(node, "transA", 0):
        return Refusal("it has factors, or its input is transposed")
    out, bias = static_dims(node.outputs[0]), input_of(node, 2)
    if out is None or (bias is not None and static_dims(bias) not in ((out[1],), (1, out[1]))):
        return Refusal("its bias is not one number per column")
    return _dense(work, node, bool(attribute(node, "transB", 0)))


def _dense(work: Lowering, node: ir.Node, transposed: bool) -> Refusal | None:
    """Rows that are images of one pixel, or maps by rows, times a matrix; rows that are pixels are convolved."""
    view, out = work.view(node.inputs[0]), static_dims(node.outputs[0])
    if view is None or out is None:
        return Refusal("its input is no map of known size")
    by_rows = _by_rows(view, work.lowered.shapes[view.held])
    if not by_rows:
        rows = work.rows(node.inputs[0])
        shape = (1, 1, 1, 1) if rows is None else work.lowered.shapes[rows.held]
        if rows is None or shape[ROW] * shape[COLUMN] > 1:
            return _rows_times_constant(work, node, transposed)
        view = rows
    operation = Dense(
        nodes=(node.name or "",),
        x=view.held,
        y=node.outputs[0].name or "",
        weight=work.constant(node.inputs[1]),
        bias=work.constant(input_of(node, 2)),
        transposed=transposed,
    )
    if by_rows:
        work.put(operation, node.outputs[0])
    else:
        work.put_like(operation, node.outputs[0], view, out[1])
    return None


def _by_rows(view: View, shape: tuple[int, int, int, int]) -> bool:
    """True for a map with an image per row of the matrix, in their order: channel, row and column are its columns."""
    expected = [(axis, shape[axis]) for axis in (CHANNEL, ROW, COLUMN) if shape[axis] > 1]
    rows = len(view.dims[0]) <= 1 and all(f.axis == IMAGE for f in view.dims[0])
    return rows and view.covers(shape) and [(f.axis, f.size) for f in view.dims[1]] == expected


def _matmul(work: Lowering, node: ir.Node) -> Refusal | None:
    dims = [static_dims(v) for v in node.inputs]
    out = static_dims(node.outputs[0])
    if None in dims or out is None or any(len(d or ()) < 2 or 0 in (d or ()) for d in dims):
        return Refusal("it does not multiply two matrices of known size")
    second = node.inputs[1]
    constant = is_constant(second) and second is not None and not second.is_graph_input()
    if constant and len(dims[1] or ()) == 2:
        refused = weights(node, {"matrix": 1})
        if refused is not None:
            return refused
        return _dense(work, node, False) if len(out) == 2 else _rows_times_constant(work, node, False)
    return _product(work, node)


def _rows_times_constant(work: Lowering, node: ir.Node, transposed: bool) -> Refusal | None:
    """Every row is a pixel: a convolution with a kernel of one pixel."""
    view = work.rows(node.inputs[0])
    if view is None:
        return Refusal("its rows would have to be moved about")
    matrix = np.asarray(constant_tensor(node.inputs[1]).numpy())
    y = node.outputs[0].name or ""
    weight = matrix if transposed else matrix.T
    name = work.invent(f"{y} weight", weight[:, :, None, None])
    bias = work.constant(input_of(node, 2))
    operation = Convolution((node.name or "",), view.held, y, name, bias, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1)
    work.put_like(operation, node.outputs[0], view, weight.shape[0])
    return None


def _product(work: Lowering, node: ir.Node) -> Refusal | None:
    """Products of two values; both are read where they are if a kernel can."""
    first, second = (work.view(v) for v in node.inputs)
    out = static_dims(node.outputs[0])
    if first is None or second is None or out is None:
        return Refusal("an input is no map of known size")
    if not _channels_last(first):
        first = work.arranged(first, _standing(first))
    if not _channels_last(second) and not _channels_last(transposed(second, _swapped(second))):
        second = work.arranged(second, _standing(second))
    if first is None or second is None:
        return Refusal("a factor would have to be moved about")
    batch, y = out[:-2], node.outputs[0].name or ""
    first, second = broadcast(first, (*batch, *first.sizes[-2:])), broadcast(second, (*batch, *second.sizes[-2:]))
    # results of several products side by side, where the second factors are: whoever joins heads wants them so
    heads = [d for d, dim in enumerate(second.dims[:-2]) if any(f.axis == CHANNEL and f.step for f in dim)]
    beside = _channels_last(second) and len(heads) == 1 and second.dims[heads[0]][0].step == out[-1]
    axes = [CHANNEL if beside and d == heads[0] else IMAGE for d in range(len(batch))]
    whole, _ = whole_view(y, out, (*axes, COLUMN, CHANNEL))
    work.put(
        Product((node.name or "",), first.held, y, first, second, whole), node.outputs[0], (*axes, COLUMN, CHANNEL)
    )
    return None


def _swapped(view: View) -> tuple[int, ...]:
    rank = len(view.dims)
    return (*range(rank - 2), rank - 1, rank - 2)


def _standing(view: View) -> tuple[int, ...]:
    """Matrices as images of one row, their columns channels."""
    return (*(IMAGE,) * (len(view.dims) - 2), COLUMN, CHANNEL)


def _channels_last(view: View) -> bool:
    """True where the last dimension counts channels, a vector's worth beginning where a block does, and all others
    are evenly apart."""
    last, others = view.dims[-1], view.dims[:-1]
    steps = [f.step for dim in others for f in dim if f.axis == CHANNEL]
    return (
        all(f.axis == CHANNEL and f.step == 1 for f in last)
        and all(len(dim) <= 1 for dim in view.dims)
        and all(f.axis != CHANNEL for f in others[-1])
        and view.start[CHANNEL] % _LANES == 0
        and all(step % _LANES == 0 for step in steps)
    )


TAKES: Mapping[str, Take] = {"Gemm": _gemm, "MatMul": _matmul}
