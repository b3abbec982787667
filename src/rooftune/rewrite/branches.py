"""Parallel linear branches over one input, each written as a convolution, so that two of them add up to one.

A branch reads, for output o of an axis, the elements o·stride + first + t·step of its input. Two branches can be
added where they give outputs of the same size; the taps of the sum lie on the coarsest grid that holds both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import constant_tensor, is_constant
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.match import Match, attribute, label_of
from rooftune.rewrite.weights import Floats, batchnorm_affine
from rooftune.verdicts import Refusal

__all__ = [
    "Branch",
    "Window",
    "convolution",
    "diagonal",
    "merge_branches",
    "normalised",
    "spatial_sizes",
    "unchanging",
    "windows_of",
]


@dataclass(frozen=True)
class Window:
    """Which elements of one axis an output reads.

    first  where the first tap of output 0 lies; negative on padding
    step   from tap to tap (the dilation)
    room   padding less reach: an axis of n elements gives ⌊(n + room - 1) / stride⌋ + 1 outputs
    """

    stride: int = 1
    first: int = 0
    step: int = 1
    taps: int = 1
    room: int = 0

    @property
    def last(self) -> int:
        return self.first + (self.taps - 1) * self.step

    @property
    def pads(self) -> tuple[int, int]:
        """Padding before and behind."""
        return -self.first, self.room + self.last

    def outputs(self, size: int) -> int:
        return (size + self.room - 1) // self.stride + 1

    def joined(self, other: Window, size: int | None) -> Window | None:
        """The window that holds the taps of both; None where the outputs do not pair up.

        size  elements of the axis; None where it is not known
        """
        if self.stride != other.stride:
            return None
        if self.room != other.room and (size is None or self.outputs(size) != other.outputs(size)):
            return None
        steps = [w.step for w in (self, other) if w.taps > 1]
        step = math.gcd(*steps, abs(self.first - other.first)) or 1
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Window(self.stride, first, step, (last - first) // step + 1, min(self.room, other.room))

    def inside(self, wider: Window) -> slice:
        """Where the taps lie in a window made by `joined`."""
        start = (self.first - wider.first) // wider.step
        stride = self.step // wider.step if self.taps > 1 else 1
        return slice(start, start + (self.taps - 1) * stride + 1, stride)


@dataclass(frozen=True)
class Branch:
    """A branch as a convolution: weights of shape (channels, inner, taps...) in `group` groups, and a bias.

    kernel    makes the weights, in float64, from the elements of the constants in `sources`
    biases    constants of the graph whose sum is the bias
    shift     what else is added per channel; None for nothing
    products  multiplications per output position, for comparing
    """

    windows: tuple[Window, ...]
    group: int
    channels: int
    inner: int
    sources: tuple[ir.Value, ...]
    kernel: Callable[..., Floats]
    products: int
    biases: tuple[ir.Value, ...] = ()
    shift: Floats | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        return (self.channels, self.inner, *(w.taps for w in self.windows))


def merge_branches(one: Branch, other: Branch, sizes: Sequence[int | None]) -> Branch | None:
    """The convolution that gives the sum of two branches over the same input; None where their outputs differ in shape.

    sizes  spatial sizes of the input, None for open ones
    """
    if one.channels != other.channels or one.inner * one.group != other.inner * other.group:
        return None
    if len(one.windows) != len(other.windows):
        return None
    pairs = zip(one.windows, other.windows, sizes, strict=True)
    windows = tuple(w for w in (a.joined(b, size) for a, b, size in pairs) if w is not None)
    if len(windows) != len(sizes):
        return None
    group = math.gcd(one.group, other.group)
    inner = one.inner * one.group // group
    shape = (one.channels, inner, *(w.taps for w in windows))
    own = len(one.sources)

    def kernel(*arrays: Any) -> Floats:
        parts = [(one, one.kernel(*arrays[:own])), (other, other.kernel(*arrays[own:]))]
        # the larger branch usually has the shape of the sum already, in an array nobody else has
        parts.sort(key=lambda part: part[0].windows != windows or part[0].group != group)
        (first, made), rest = parts[0], parts[1:]
        if first.windows != windows or first.group != group or not (made.flags.owndata and made.flags.writeable):
            made, rest = np.zeros(shape), parts
        for branch, its in rest:
            _embed(branch, its, made, group, windows)
        return made

    return Branch(
        windows,
        group,
        one.channels,
        inner,
        (*one.sources, *other.sources),
        kernel,
        math.prod(shape),
        (*one.biases, *other.biases),
        one.shift if other.shift is None else other.shift if one.shift is None else one.shift + other.shift,
    )


def _embed(branch: Branch, kernel: Floats, into: Floats, group: int, windows: Sequence[Window]) -> None:
    """Add the weights of a branch to those of a convolution with fewer groups and wider windows, in place."""
    folds = branch.group // group
    taps = tuple(mine.inside(wider) for mine, wider in zip(branch.windows, windows, strict=True))
    rows = branch.channels // branch.group
    source = kernel.reshape(group, folds, rows, branch.inner, *kernel.shape[2:])
    target = into.reshape(group, folds, rows, folds, branch.inner, *into.shape[2:])
    for fold in range(folds):
        block: Any = (slice(None), fold, slice(None), fold, slice(None), *taps)
        target[block] += source[:, fold]


def convolution(conv: ir.Node) -> Branch | Refusal | None:
    """A Conv node as a branch; a refusal where its weights are not constant or its output is not read by one alone.

    None where its settings cannot be worked out.
    """
    value, weight = conv.outputs[0], conv.inputs[1]
    given = conv.inputs[2] if len(conv.inputs) > 2 else None
    if value.is_graph_output() or len(value.uses()) > 1:
        return Refusal(f"the output of {label_of(conv)} has another reader", label_of(conv))
    for constant in (weight, given):
        if constant is not None and not unchanging(constant):
            return Refusal(f"{constant.name} is computed at run time or may be given by the caller", label_of(conv))
    tensor = constant_tensor(weight)
    dims = tuple(tensor.shape.dims)
    group = attribute(conv, "group", 1)
    if any(a.is_ref() for a in conv.attributes.values()) or not all(isinstance(d, int) for d in dims):
        return None
    if len(dims) < 3 or 0 in dims or group < 1 or dims[0] % group:
        return None
    windows = windows_of(conv, dims[2:], spatial_sizes(conv.inputs[0], len(dims) - 2))
    if windows is None or weight is None:
        return None
    biases = () if given is None else (given,)
    return Branch(windows, group, dims[0], dims[1], (weight,), lambda w: w, math.prod(dims), biases)


def diagonal(
    conv: Branch, gain: Floats | float = 1.0, *, windows: Sequence[Window] | None = None, products: int = 0
) -> Branch:
    """A branch beside a convolution that keeps channels apart: gain times the mean over windows of its own.

    Without windows it is gain times the element.
    """
    channels = conv.inner * conv.group
    windows = tuple(windows or [Window()] * len(conv.windows))
    taps = tuple(w.taps for w in windows)
    factor = np.asarray(gain, np.float64).reshape(-1, 1, *[1] * len(taps)) / math.prod(taps)
    return Branch(windows, channels, channels, 1, (), lambda: np.broadcast_to(factor, (channels, 1, *taps)), products)


def normalised(branch: Branch, norm: ir.Node) -> Branch | Refusal | None:
    """A branch of one channel per group, without bias, with a BatchNormalization behind it."""
    unknown = next((v for v in norm.inputs[1:5] if not unchanging(v)), None)
    if unknown is not None:
        return Refusal(f"{unknown.name} is computed at run time or may be given by the caller", label_of(norm))
    if any(a.is_ref() for a in norm.attributes.values()):
        return None
    affine = batchnorm_affine(Match(norm, {}, (norm,)))
    if affine is None:
        why = "the BatchNormalization computes statistics of its own or its parameters are not finite"
        return Refusal(why, label_of(norm))
    gain, shift = affine
    if gain.size != branch.channels:
        return None
    factor = gain.reshape(-1, *[1] * (len(branch.windows) + 1))
    return replace(branch, kernel=lambda *arrays: branch.kernel(*arrays) * factor, shift=shift)


def windows_of(node: ir.Node, taps: Sequence[int], sizes: Sequence[int | None]) -> tuple[Window, ...] | None:
    """The windows of a Conv or a pool; None where padding depends on sizes that are not known, or makes no sense."""
    rank = len(taps)
    strides = attribute(node, "strides") or [1] * rank
    steps = attribute(node, "dilations") or [1] * rank
    pads = attribute(node, "pads") or [0] * 2 * rank
    mode = attribute(node, "auto_pad", "NOTSET") or "NOTSET"
    if (len(strides), len(steps), len(pads)) != (rank, rank, 2 * rank) or min(*strides, *steps, *taps) < 1:
        return None
    made = []
    for axis, (stride, step, k, size) in enumerate(zip(strides, steps, taps, sizes, strict=True)):
        reach = (k - 1) * step
        if mode == "NOTSET":
            before, behind = pads[axis], pads[rank + axis]
        elif mode == "VALID":
            before = behind = 0
        else:
            total = _same_padding(stride, step, reach, size)
            if total is None:
                return None
            before = total // 2 if mode == "SAME_UPPER" else (total + 1) // 2
            behind = total - before
        if before < 0 or behind < 0:
            return None
        made.append(Window(stride, -before, step, k, before + behind - reach))
    return tuple(made)


def _same_padding(stride: int, step: int, reach: int, size: int | None) -> int | None:
    """Padding with which n elements give ⌈n / stride⌉ outputs; engines disagree about it for dilated kernels."""
    if step > 1 and reach:
        return None
    if stride == 1:
        return reach
    return None if size is None else max(0, (-(-size // stride) - 1) * stride + reach + 1 - size)


def spatial_sizes(x: ir.Value | None, count: int) -> list[int | None]:
    """The sizes of the last `count` axes of a tensor (N, C, sizes...); None for those that are open or not known."""
    kind = value_type(x)
    dims = kind.dims if isinstance(kind, TensorType) else None
    if dims is None or len(dims) != count + 2:
        return [None] * count
    return [d if isinstance(d, int) else None for d in dims[2:]]


def unchanging(value: ir.Value | None) -> bool:
    """True for constants that no caller can replace: those that are no inputs of the graph as well."""
    return is_constant(value) and value is not None and not value.is_graph_input()
