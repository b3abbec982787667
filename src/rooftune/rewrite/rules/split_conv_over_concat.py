"""A convolution of joined channels leaves out those that need no convolution at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute, label_of
from rooftune.rewrite.padding import pads_with_zeros
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import weight_dims
from rooftune.verdicts import Exactness, Refusal


class SplitConvOverConcat(Rule):
    """Split a Conv over a Concat of channels where some are constant, or the same at every position.

    A convolution of joined channels is the sum of convolutions. That of constant channels is a constant; that of
    channels expanded from one position is a 1x1 convolution of this position with the taps added up, where nothing
    is padded. Other splits do the same work in more pieces and are left alone.
    """

    pattern = ()
    exactness = Exactness.REASSOCIATES
    must_pay = True

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        return frozenset({("", "Conv")})

    def find(self, node: ir.Node) -> Match | Refusal | None:
        joined = node.inputs[0]
        concat = None if joined is None else joined.producer()
        rank = len(weight_dims(node) or ())
        if joined is None or concat is None or (concat.domain, concat.op_type) != ("", "Concat") or rank < 3:
            return None
        if attribute(concat, "axis", 1) not in (1, 1 - rank) or attribute(node, "group", 1) != 1:
            return None
        parts = [v for v in concat.inputs if v is not None]
        apart, plain = _apart(parts, rank, padded=pads_with_zeros(node))
        sizes = [_dims(v)[1] if len(_dims(v)) == rank else None for v in parts]
        if not apart or len(apart) == len(parts) or not all(isinstance(s, int) for s in sizes):
            return None
        if not _fixed(node.inputs[1]):
            return Refusal(f"the weight of {label_of(node)} is computed at run time")
        if len(joined.uses()) > 1 or joined.is_graph_output():
            return Refusal(f"the output of {label_of(concat)} has another reader", label_of(concat))
        if any(reader.op_type == "BatchNormalization" for reader, _ in node.outputs[0].uses()):
            return None  # that is folded into the Conv first
        makers = [parts[i].producer() for i in apart] if plain is not None else []
        found: dict[str, Any] = {"w": node.inputs[1], "b": (*node.inputs, None)[2], "concat": concat, "plain": plain}
        found |= {"parts": parts, "apart": apart, "sizes": sizes}
        return Match(node, found, (node, concat, *(maker for maker in makers if maker is not None)))

    def replace(self, m: Match, new: Builder) -> Replacement:
        rest = [i for i in range(len(m.parts)) if i not in m.apart]
        main = new.Conv(_joined(m, rest, new), _part(m, rest, new), m.b, like=m.root)
        if m.plain is None:
            side = new.Conv(_joined(m, m.apart, new), _part(m, m.apart, new), like=m.root)
        else:
            side = new.Conv(m.plain, _part(m, m.apart, new, add_taps=True))
        return new.Add(main, side)

    examples = (
        Example(
            "constant channels",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y) <float[1,2,8,8] k, float[4,6,3,3] w, float[4] b>
            { c = Concat<axis=1>(k, x) y = Conv<pads=[1,1,1,1]>(c, w, b) }""",
            """v1 = Conv<pads=[1,1,1,1]>(x, #, #)
            v2 = Conv<pads=[1,1,1,1]>(#, #)
            y = Add(v1, v2)""",
        ),
        Example(
            "channels expanded from one position, as of a global mean",
            """(float[1,16,8,8] x, float[1,16,1,1] g, float[1,2,8,8] z) => (float[1,4,8,8] y)
            <float[4,34,1,1] w, float[4] b, int64[4] s = {1,16,8,8}>
            { e = Expand(g, s) c = Concat<axis=-3>(x, e, z) y = Conv(c, w, b) }""",
            """v1 = Concat<axis=1>(x, z)
            v2 = Conv(v1, #, #)
            v3 = Conv(g, #)
            y = Add(v2, v3)""",
        ),
        Example(
            "channels resized from one position, 3x3",
            """(float[1,4,8,8] x, float[1,4,1,1] g) => (float[1,4,6,6] y) <float[4,8,3,3] w, float[4] s = {1,1,8,8}>
            { e = Resize<mode="linear">(g, , s) c = Concat<axis=1>(e, x) y = Conv(c, w) }""",
            """v1 = Conv(x, #)
            v2 = Conv(g, #)
            y = Add(v1, v2)""",
        ),
        Example(
            "weight computed at run time",
            """(float[1,4,8,8] x, float[4,6,3,3] w) => (float[1,4,8,8] y) <float[1,2,8,8] k>
            { c = Concat<axis=1>(k, x) y = Conv<pads=[1,1,1,1]>(c, w) }""",
            refused="computed at run time",
        ),
        Example(
            "two readers",
            """(float[1,4,8,8] x) => (float[1,4,8,8] y, float[1,6,8,8] z) <float[1,2,8,8] k, float[4,6,3,3] w>
            { c = Concat<axis=1>(k, x) y = Conv<pads=[1,1,1,1]>(c, w) z = Relu(c) }""",
            refused="another reader",
        ),
    )


def _apart(parts: Sequence[ir.Value], rank: int, *, padded: bool) -> tuple[list[int], ir.Value | None]:
    """Which parts are convolved apart: the constant ones, or one that `plain` repeats at every position."""
    constant = [i for i, v in enumerate(parts) if _fixed(v)]
    if constant or padded:
        return constant, None
    for i, value in enumerate(parts):
        plain = _repeated(value, rank)
        if plain is not None:
            return [i], plain
    return [], None


def _repeated(value: ir.Value, rank: int) -> ir.Value | None:
    """The value of one position of which this one holds nothing but copies; None where there is none."""
    node = value.producer()
    if node is None or node.domain != "" or node.op_type not in ("Expand", "Resize", "Upsample"):
        return None
    source = node.inputs[0]
    if node.op_type != "Expand":
        if attribute(node, "coordinate_transformation_mode") == "tf_crop_and_resize":
            return None
        if attribute(node, "mode", "nearest") not in ("nearest", "linear"):
            return None
    dims = _dims(source)
    if len(dims) != rank or any(d != 1 for d in dims[2:]) or dims[:2] != _dims(value)[:2]:
        return None
    return source


def _fixed(value: ir.Value | None) -> bool:
    return value is not None and is_constant(value) and not value.is_graph_input()


def _dims(value: ir.Value | None) -> tuple[Any, ...]:
    kind = value_type(value)
    return (kind.dims or ()) if isinstance(kind, TensorType) else ()


def _joined(m: Match, chosen: Sequence[int], new: Builder) -> ir.Value:
    values = [m.parts[i] for i in chosen]
    return values[0] if len(values) == 1 else new.Concat(*values, axis=1)


def _part(m: Match, chosen: Sequence[int], new: Builder, *, add_taps: bool = False) -> ir.Value:
    """The weight of these parts of the joined channels; with `add_taps` that of a 1x1 convolution."""
    starts = np.concatenate([[0], np.cumsum(m.sizes)])
    channels = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in chosen])
    dims = weight_dims(m.root) or ()
    kernel = [1] * (len(dims) - 2) if add_taps else dims[2:]

    def take(w: Any) -> Any:
        taken = w[:, channels]
        return taken.sum(axis=tuple(range(2, w.ndim)), keepdims=True) if add_taps else taken

    return new.derive(take, m.w, shape=(dims[0], len(channels), *kernel), exact=not add_taps)
