"""Random small graphs for property tests: every operator the rules speak of, wired at random."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

__all__ = ["graphs"]

Shape = tuple[int, ...]


@dataclass
class Build:
    """A graph in the making: what was drawn so far and the values that can be read."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    random: np.random.Generator
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    values: list[tuple[str, Shape]] = field(default_factory=list)

    def one(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def pick(self, rank: int | None = None) -> tuple[str, Shape] | None:
        """A value to read: mostly the newest, so that chains grow, sometimes any."""
        fitting = [v for v in self.values if rank is None or len(v[1]) == rank]
        if not fitting:
            return None
        back = self.one(0, 0, 0, 0, 1, 2, len(fitting) - 1)
        return fitting[-1 - min(back, len(fitting) - 1)]

    def weight(self, shape: Sequence[int], *, low: float | None = None) -> str:
        name = f"w{len(self.weights)}"
        values = (
            self.random.standard_normal(tuple(shape)) if low is None else self.random.uniform(low, 1.5, tuple(shape))
        )
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def integers(self, numbers: Sequence[int]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(list(numbers), np.int64), name))
        return name

    def scalar(self, value: float) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, op: str, inputs: Sequence[str], shapes: Sequence[Shape], **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}{'abc'[i] if len(shapes) > 1 else ''}" for i in range(len(shapes))]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        self.values += zip(names, shapes, strict=True)
        return names[0]


def _unary(b: Build) -> None:
    found = b.pick()
    if found is None:
        return
    name, shape = found
    op = b.one("Relu", "Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Identity", "Dropout", "Clip", "LeakyRelu", "Softplus")
    if op == "Clip":
        b.node("Clip", [name, b.scalar(b.one(-1.0, 0.0)), b.scalar(b.one(1.0, 6.0))], [shape])
    else:
        b.node(op, [name], [shape])


def _with_constant(b: Build) -> None:
    found = b.pick()
    if found is None:
        return
    name, shape = found
    op = b.one("Add", "Mul", "Sub", "Div", "Max", "Min")
    kind = b.one("scalar", "channel", "full", "neutral")
    if kind == "neutral":
        other = b.scalar(0.0 if op in ("Add", "Sub") else 1.0)
    elif kind == "scalar":
        other = b.weight((), low=0.5)
    elif kind == "channel" and len(shape) >= 3:
        other = b.weight((shape[1], *[1] * (len(shape) - 2)), low=0.5)
    else:
        other = b.weight(shape[-1:] if kind == "channel" else shape, low=0.5)
    swapped = op in ("Add", "Mul", "Max", "Min") and b.draw(st.booleans())
    b.node(op, [other, name] if swapped else [name, other], [shape])


def _binary(b: Build) -> None:
    found = b.pick()
    if found is None:
        return
    same = [v for v in b.values if v[1] == found[1]]
    other = same[b.draw(st.integers(0, len(same) - 1))]
    b.node(b.one("Add", "Add", "Mul", "Max", "Sum"), [found[0], other[0]], [found[1]])


def _conv(b: Build, source: tuple[str, Shape] | None = None) -> str | None:
    found = source or b.pick(4)
    if found is None or min(found[1]) < 1:
        return None
    name, (n, c, h, w) = found
    kernel = b.one((1, 1), (3, 3), (3, 3), (1, 3))
    group = b.one(1, 1, c) if c <= 8 else 1
    out = c * b.one(1, 1, 2) if group > 1 else b.one(c, 4, 6)
    if out > 12 or h * w > 400:
        return None
    pads = [(k - 1) // 2 * b.one(0, 1, 1) for k in kernel]
    stride = b.one(1, 1, 1, 2)
    size = [(d + 2 * p - k) // stride + 1 for d, p, k in zip((h, w), pads, kernel)]
    if min(size) < 1:
        return None
    bias = [b.weight((out,))] if b.draw(st.booleans()) else []
    weight = b.weight((out, c // group, *kernel))
    return b.node(
        "Conv", [name, weight, *bias], [(n, out, *size)], pads=[*pads, *pads], strides=[stride] * 2, group=group
    )


def _batchnorm(b: Build) -> None:
    found = b.pick(4)
    if found is None:
        return
    c = found[1][1]
    parts = [b.weight((c,), low=0.5), b.weight((c,)), b.weight((c,)), b.weight((c,), low=0.5)]
    b.node("BatchNormalization", [found[0], *parts], [found[1]], epsilon=1e-3)


def _branches(b: Build) -> None:
    """A block as RepVGG trains it."""
    found = b.pick(4)
    if found is None or found[1][1] > 8 or found[1][2] * found[1][3] > 400:
        return
    name, (n, c, h, w) = found
    shape = (n, c, h, w)
    big = b.node("Conv", [name, b.weight((c, c, 3, 3))], [shape], pads=[1, 1, 1, 1])
    small = b.node("Conv", [name, b.weight((c, c, 1, 1))], [shape])
    parts = [b.weight((c,), low=0.5), b.weight((c,)), b.weight((c,)), b.weight((c,), low=0.5)]
    kept = b.one(name, "norm", "none")
    total = b.node("Add", [big, small], [shape])
    if kept == "norm":
        kept = b.node("BatchNormalization", [name, *parts], [shape])
    if kept != "none":
        b.node("Add", [total, kept], [shape])


def _scaled_product(b: Build) -> None:
    """A convolution or product with per-channel constants before and behind it, as normalisations leave them."""
    found = b.pick()
    if found is None or len(found[1]) not in (2, 4):
        return
    name, shape = found
    channel = (1, shape[1], *[1] * (len(shape) - 2))
    for op in (b.one("Mul", "Add", ""), b.one("Mul", "Add", "")):
        if op:
            name = b.node(op, [name, b.weight(channel, low=0.5)], [shape])
    if len(shape) == 4:
        if _conv(b, (name, shape)) is None:
            return
    else:
        _product(b)
    name, shape = b.values[-1]
    channel = (1, shape[1], *[1] * (len(shape) - 2))
    for op in (b.one("Mul", "Add", "Div", "Sub"), b.one("Mul", "Add", "")):
        if op:
            name = b.node(op, [name, b.weight(channel, low=0.5)], [shape])


def _constant_chain(b: Build) -> None:
    """Several operations with constants in a row."""
    for _ in range(b.one(2, 3)):
        _with_constant(b)


def _nonlinear_pair(b: Build) -> None:
    """Two activations in a row."""
    _unary(b)
    _unary(b)


def _layout_pair(b: Build) -> None:
    """A transpose, something in between, and the transpose back."""
    found = b.pick(4)
    if found is None:
        return
    name, (n, c, h, w) = found
    b.node("Transpose", [name], [(n, h, w, c)], perm=[0, 2, 3, 1])
    kind = b.one("constant", "activation", "nothing", "pad")
    if kind == "constant":
        b.node(b.one("Add", "Mul"), [b.values[-1][0], b.weight((c,))], [(n, h, w, c)])
    elif kind == "activation":
        b.node("Relu", [b.values[-1][0]], [(n, h, w, c)])
    elif kind == "pad":
        b.node("Pad", [b.values[-1][0], b.integers([0, 1, 1, 0, 0, 1, 1, 0])], [(n, h + 2, w + 2, c)])
    last, shape = b.values[-1]
    b.node("Transpose", [last], [(n, c, shape[1], shape[2])], perm=[0, 3, 1, 2])


def _normalisation(b: Build) -> None:
    """A LayerNormalization, spelled out."""
    found = b.pick()
    if found is None or len(found[1]) < 2 or found[1][-1] < 2:
        return
    name, shape = found
    one = (*shape[:-1], 1)

    def mean(source: str) -> str:
        if b.opset >= 18:
            return b.node("ReduceMean", [source, b.integers([-1])], [one])
        return b.node("ReduceMean", [source], [one], axes=[-1])

    centred = b.node("Sub", [name, mean(name)], [shape])
    square = b.node("Pow", [centred, b.scalar(2.0)], [shape])
    spread = b.node("Sqrt", [b.node("Add", [mean(square), b.scalar(1e-5)], [one])], [one])
    normal = b.node("Div", [centred, spread], [shape])
    scaled = b.node("Mul", [normal, b.weight(shape[-1:])], [shape])
    b.node("Add", [scaled, b.weight(shape[-1:])], [shape])


def _transpose(b: Build) -> None:
    found = b.pick()
    if found is None or len(found[1]) < 2:
        return
    order = b.draw(st.permutations(range(len(found[1]))))
    b.node("Transpose", [found[0]], [tuple(found[1][i] for i in order)], perm=order)


def _reshape(b: Build) -> None:
    found = b.pick()
    if found is None:
        return
    name, shape = found
    kind = b.one("flatten", "merge", "split", "unsqueeze", "same")
    if kind == "flatten":
        target = (shape[0] if shape else 1, math.prod(shape[1:]))
    elif kind == "merge" and len(shape) > 2:
        target = (*shape[:-2], shape[-2] * shape[-1])
    elif kind == "split" and shape and shape[-1] % 2 == 0 and len(shape) < 5:
        target = (*shape[:-1], shape[-1] // 2, 2)
    elif kind == "unsqueeze" and len(shape) < 5:
        axis = b.draw(st.integers(0, len(shape)))
        b.node("Unsqueeze", [name, b.integers([axis])], [(*shape[:axis], 1, *shape[axis:])])
        return
    else:
        target = shape
    written = [-1 if i == 0 and b.draw(st.booleans()) else d for i, d in enumerate(target)]
    b.node("Reshape", [name, b.integers(written)], [target])


def _squeeze(b: Build) -> None:
    found = b.pick()
    if found is None or 1 not in found[1] or len(found[1]) < 2:
        return
    axis = found[1].index(1)
    b.node("Squeeze", [found[0], b.integers([axis])], [(*found[1][:axis], *found[1][axis + 1 :])])


def _concat_or_split(b: Build) -> None:
    found = b.pick()
    if found is None or not found[1]:
        return
    name, shape = found
    axis = b.draw(st.integers(0, len(shape) - 1))
    if b.draw(st.booleans()):
        fitting = [v for v in b.values if v[1][:axis] == shape[:axis] and len(v[1]) == len(shape)]
        fitting = [v for v in fitting if v[1][axis + 1 :] == shape[axis + 1 :]]
        other = fitting[b.draw(st.integers(0, len(fitting) - 1))]
        total = shape[axis] + other[1][axis]
        if total <= 24:
            b.node("Concat", [name, other[0]], [(*shape[:axis], total, *shape[axis + 1 :])], axis=axis)
    elif shape[axis] >= 2:
        first = shape[axis] // 2
        halves = [(*shape[:axis], size, *shape[axis + 1 :]) for size in (first, shape[axis] - first)]
        sizes = b.integers([first, shape[axis] - first])
        b.node("Split", [name, sizes], halves, axis=axis)
        if b.draw(st.booleans()):
            made = [n for n, _ in b.values[-2:]]
            b.node("Concat", made, [shape], axis=axis)


def _slice_or_pad(b: Build) -> None:
    found = b.pick()
    if found is None or not found[1]:
        return
    name, shape = found
    axis = b.draw(st.integers(0, len(shape) - 1))
    if b.draw(st.booleans()):
        start, end = b.one((0, 1 << 40), (0, -1), (1, 1 << 40))
        size = len(range(shape[axis])[start : end if end < 1 << 40 else None])
        if size:
            inputs = [name, b.integers([start]), b.integers([end]), b.integers([axis])]
            b.node("Slice", inputs, [(*shape[:axis], size, *shape[axis + 1 :])])
        return
    pads = [0] * (2 * len(shape))
    pads[axis], pads[axis + len(shape)] = b.one((0, 0), (1, 1), (0, 1))
    target = tuple(d + pads[i] + pads[i + len(shape)] for i, d in enumerate(shape))
    b.node("Pad", [name, b.integers(pads)], [target])


def _product(b: Build) -> None:
    found = b.pick(2)
    if found is None:
        return
    name, (rows, depth) = found
    columns = b.one(3, 8)
    if depth > 600:
        return
    if b.draw(st.booleans()):
        made = b.node("MatMul", [name, b.weight((depth, columns))], [(rows, columns)])
        if b.draw(st.booleans()):
            b.node("Add", [made, b.weight((columns,))], [(rows, columns)])
    else:
        inputs = [name, b.weight((columns, depth)), *([b.weight((columns,))] if b.draw(st.booleans()) else [])]
        b.node("Gemm", inputs, [(rows, columns)], transB=1, alpha=b.one(1.0, 0.5))


def _reduce(b: Build) -> None:
    found = b.pick()
    if found is None or not found[1]:
        return
    name, shape = found
    axis = b.draw(st.integers(0, len(shape) - 1))
    if b.draw(st.booleans()):
        b.node("Softmax", [name], [shape], axis=axis)
        return
    keep = b.one(0, 1)
    target = (*shape[:axis], *([1] if keep else []), *shape[axis + 1 :])
    if b.opset >= 18:
        b.node("ReduceMean", [name, b.integers([axis])], [target], keepdims=keep)
    else:
        b.node("ReduceMean", [name], [target], keepdims=keep, axes=[axis])


def _pool(b: Build) -> None:
    found = b.pick(4)
    if found is None or min(found[1][2:]) < 2:
        return
    name, (n, c, h, w) = found
    op = b.one("MaxPool", "AveragePool", "GlobalAveragePool")
    if op == "GlobalAveragePool":
        b.node(op, [name], [(n, c, 1, 1)])
    else:
        b.node(op, [name], [(n, c, h - 1, w - 1)], kernel_shape=[2, 2])


def _shuffle(b: Build) -> None:
    """A channel shuffle of two groups, by shapes read from the graph or by constants."""
    found = b.pick(4)
    if found is None or found[1][1] % 2:
        return
    name, (n, c, h, w) = found
    apart = b.node("Reshape", [name, b.integers([n, 2, c // 2, h, w])], [(n, 2, c // 2, h, w)])
    turned = b.node("Transpose", [apart], [(n, c // 2, 2, h, w)], perm=[0, 2, 1, 3, 4])
    b.node("Reshape", [turned, b.integers([n, c, h, w])], [(n, c, h, w)])


def _computed_shape(b: Build) -> None:
    """A flattening as exporters write it: Shape, Gather, Concat, Reshape."""
    found = b.pick(4)
    if found is None:
        return
    name, shape = found
    sizes = f"t{len(b.nodes)}s"
    b.nodes.append(helper.make_node("Shape", [name], [sizes], name=f"n{len(b.nodes)}"))
    first = f"t{len(b.nodes)}g"
    b.nodes.append(helper.make_node("Gather", [sizes, b.integers([0])], [first], name=f"n{len(b.nodes)}"))
    target = f"t{len(b.nodes)}c"
    b.nodes.append(helper.make_node("Concat", [first, b.integers([-1])], [target], name=f"n{len(b.nodes)}", axis=0))
    b.node("Reshape", [name, target], [(shape[0], math.prod(shape[1:]))])


def _activation(b: Build) -> None:
    """h-swish, SiLU or GELU, spelled out."""
    found = b.pick()
    if found is None:
        return
    name, shape = found
    kind = b.one("hardswish", "silu", "gelu")
    if kind == "hardswish":
        shifted = b.node("Add", [name, b.scalar(3.0)], [shape])
        clipped = b.node("Clip", [shifted, b.scalar(0.0), b.scalar(6.0)], [shape])
        product = b.node("Mul", [name, clipped], [shape])
        b.node("Div", [product, b.scalar(6.0)], [shape])
    elif kind == "silu":
        gate = b.node("Sigmoid", [name], [shape])
        b.node("Mul", [name, gate], [shape])
    else:
        scaled = b.node("Div", [name, b.scalar(math.sqrt(2.0))], [shape])
        curve = b.node("Erf", [scaled], [shape])
        shifted = b.node("Add", [curve, b.scalar(1.0)], [shape])
        product = b.node("Mul", [name, shifted], [shape])
        b.node("Mul", [product, b.scalar(0.5)], [shape])


_STEPS: tuple[Callable[[Build], Any], ...] = (
    _unary, _with_constant, _with_constant, _binary, _conv, _conv, _batchnorm, _batchnorm, _branches, _transpose,
    _transpose, _reshape, _squeeze, _concat_or_split, _slice_or_pad, _product, _reduce, _pool, _shuffle,
    _computed_shape, _activation, _scaled_product, _scaled_product, _constant_chain, _nonlinear_pair, _layout_pair,
    _normalisation,
)  # fmt: skip


@st.composite
def graphs(draw: Callable[[st.SearchStrategy[Any]], Any], *, most: int = 14) -> onnx.ModelProto:
    """A model with one or two inputs, up to `most` steps, and one to three outputs."""
    b = Build(draw, np.random.default_rng(draw(st.integers(0, 1 << 20))), draw(st.sampled_from([13, 17, 18, 20])))
    channels, size = draw(st.sampled_from([2, 3, 4, 8])), draw(st.sampled_from([4, 5, 7]))
    inputs = [("x", (draw(st.sampled_from([1, 2])), channels, size, size))]
    if draw(st.booleans()):
        inputs.append(("z", draw(st.sampled_from([(2, 6), inputs[0][1]]))))
    b.values += inputs
    for _ in range(draw(st.integers(1, most))):
        _STEPS[draw(st.integers(0, len(_STEPS) - 1))](b)
    made = [v for v in b.values if v not in inputs]
    if not made:
        made = [(b.node("Relu", ["x"], [inputs[0][1]]), inputs[0][1])]
    # whatever nobody reads is an output, and now and then something that is read too
    read = {name for node in b.nodes for name in node.input}
    chosen = [v for v in made if v[0] not in read] or made[-1:]
    extra = made[draw(st.integers(0, len(made) - 1))]
    if draw(st.integers(0, 3)) == 3 and extra not in chosen:
        chosen.append(extra)
    graph = helper.make_graph(
        b.nodes,
        "random",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in chosen],
        b.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", b.opset)], ir_version=9)
