"""What becomes of a node when its input is read before a Transpose instead of behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from rooftune.graph.constants import constant_of, is_constant
from rooftune.rewrite.axes import axes_of, rank_of
from rooftune.rewrite.match import attribute
from rooftune.rewrite.views import dims_of

__all__ = ["Moved", "Perm", "inverse", "moved"]

Perm = tuple[int, ...]

ONE_INPUT = frozenset(
    "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid "
    "HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh "
    "Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu".split()
)
FIRST_INPUT = frozenset({"CastLike", "Clip", "Dropout"})
"""Elementwise in their first input; the others are scalars, or give no more than a type."""
BROADCASTING = frozenset(
    "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min "
    "Mod Mul Or PRelu Pow Sub Sum Where Xor".split()
)
REORDERED = frozenset(f"Reduce{kind}" for kind in "L1 L2 LogSum LogSumExp Mean Prod Sum SumSquare".split())
"""Reductions that round differently when the axes stand in another order."""
REDUCTIONS = REORDERED | {"ReduceMax", "ReduceMin"}
WIDE = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


@dataclass(frozen=True)
class Moved:
    """A node that reads values as they are before their Transpose.

    carried     permutation by input that must be undone there: value = Transpose(what the node reads now)
    outputs     permutations that must follow the outputs
    attributes  that change, by name; `integers` inputs that become other int64 constants
    padded      constants to be permuted, by input: the rank they get and the permutation they were to be read under
    """

    carried: Mapping[int, Perm]
    outputs: tuple[Perm, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    integers: Mapping[int, Sequence[int]] = field(default_factory=dict)
    padded: Mapping[int, Perm] = field(default_factory=dict)


def inverse(perm: Perm) -> Perm:
    """The permutation that undoes another."""
    return tuple(perm.index(i) for i in range(len(perm)))


def moved(node: ir.Node, behind: Mapping[int, Perm]) -> Moved | None:
    """The node in front of the Transposes that its inputs `behind` come from; None where it cannot move."""
    perm = next(iter(behind.values()))
    if node.domain != "" or any(p != perm for p in behind.values()):
        return None
    op = node.op_type
    if op in ONE_INPUT and len(node.inputs) == 1:
        return Moved({0: perm}, (perm,))
    if op in FIRST_INPUT and 0 in behind and len(behind) == 1:
        return Moved({0: perm}, (perm,) * len(node.outputs)) if _scalars(node) else None
    if op in BROADCASTING:
        return _broadcasting(node, perm, behind)
    how = AXIS.get(op)
    return how(node, perm) if how is not None and (op == "Concat" or set(behind) == {0}) else None


def _scalars(node: ir.Node) -> bool:
    if node.op_type == "CastLike":
        return True
    if node.op_type == "Dropout" and len(node.inputs) > 2:
        return False  # in training it draws one random number per element, in order
    return all(v is None or is_constant(v) or dims_of(v) == () for v in node.inputs[1:])


def _broadcasting(node: ir.Node, perm: Perm, behind: Mapping[int, Perm]) -> Moved | None:
    """Inputs of the output's rank are carried; constants are permuted; single numbers stay as they are."""
    rank = len(perm)
    carried: dict[int, Perm] = {}
    padded: dict[int, Perm] = {}
    for place, value in enumerate(node.inputs):
        dims = dims_of(value)
        if dims is None or len(dims) > rank:
            return None
        if all(d == 1 for d in dims) and place not in behind:
            continue
        if is_constant(value):
            if not all(isinstance(d, int) for d in dims):
                return None
            padded[place] = perm
        elif len(dims) == rank:
            carried[place] = perm
        else:
            return None
    return Moved(carried, (perm,), padded=padded)


def _axis(node: ir.Node, perm: Perm, default: int | None) -> dict[str, Any] | None:
    axis = attribute(node, "axis", default)
    return None if axis is None or not -len(perm) <= axis < len(perm) else {"axis": perm[axis]}


def _version(node: ir.Node) -> int:
    graph = node.graph
    imports: Mapping[str, int] = graph.opset_imports if graph is not None else {}
    return node.version or imports.get("", 0)


def _concat(node: ir.Node, perm: Perm) -> Moved | None:
    changed = _axis(node, perm, None)
    if changed is None or any(rank_of(v) != len(perm) for v in node.inputs):
        return None
    constant = {i: perm for i, v in enumerate(node.inputs) if is_constant(v)}
    carried = {i: perm for i in range(len(node.inputs)) if i not in constant}
    return Moved(carried, (perm,), changed, padded=constant)


def _split(node: ir.Node, perm: Perm) -> Moved | None:
    changed = _axis(node, perm, 0)
    return None if changed is None else Moved({0: perm}, (perm,) * len(node.outputs), changed)


def _softmax(node: ir.Node, perm: Perm) -> Moved | None:
    version = _version(node)
    changed = _axis(node, perm, -1)
    if version < 13 or changed is None or node.outputs[0].dtype not in WIDE:
        return None
    return Moved({0: perm}, (perm,), changed)


def _top(node: ir.Node, perm: Perm) -> Moved | None:
    changed = _axis(node, perm, -1)
    return None if changed is None else Moved({0: perm}, (perm,) * len(node.outputs), changed)


def _without(perm: Perm, axes: Sequence[int]) -> Perm:
    """The permutation that is left when these axes (of the value behind the Transpose) go."""
    kept = [p for i, p in enumerate(perm) if i not in axes]
    return tuple(sorted(kept).index(p) for p in kept)


def _extremum(node: ir.Node, perm: Perm) -> Moved | None:
    changed = _axis(node, perm, 0)
    if changed is None:
        return None
    axis = attribute(node, "axis", 0) % len(perm)
    return Moved({0: perm}, (perm if attribute(node, "keepdims", 1) else _without(perm, (axis,)),), changed)


def _place_axes(node: ir.Node, axes: Sequence[int], position: int = 1) -> dict[str, Any]:
    """Where the new axes stand: in the input they stood in, or in the attribute."""
    if len(node.inputs) > position and node.inputs[position] is not None:
        return {"integers": {position: list(axes)}}
    return {"attributes": {"axes": list(axes)}}


def _reduction(node: ir.Node, perm: Perm) -> Moved | None:
    keeps = attribute(node, "keepdims", 1)
    if node.op_type in REORDERED and node.outputs[0].dtype not in WIDE:
        return None
    axes = axes_of(node, rank=len(perm))
    if not axes:
        everything = "axes" not in node.attributes and (len(node.inputs) < 2 or node.inputs[1] is None)
        if not everything or attribute(node, "noop_with_empty_axes", 0):
            return None
        return Moved({0: perm}, (perm if keeps else (),))
    after = perm if keeps else _without(perm, axes)
    return Moved({0: perm}, (after,), **_place_axes(node, sorted(perm[a] for a in axes)))


def _squeeze(node: ir.Node, perm: Perm) -> Moved | None:
    axes = axes_of(node, rank=len(perm))
    if not axes:
        return None
    return Moved({0: perm}, (_without(perm, axes),), **_place_axes(node, sorted(perm[a] for a in axes)))


def _unsqueeze(node: ir.Node, perm: Perm) -> Moved | None:
    """The new axes stay where they are; the old ones are permuted between them."""
    if len(node.inputs) > 1 and constant_of(node.inputs[1]) is None:
        return None
    count = len(axes_of(node, rank=0) or ())
    axes = axes_of(node, rank=len(perm) + count)
    if not axes:
        return None
    kept = [i for i in range(len(perm) + count) if i not in axes]
    after = list(range(len(perm) + count))
    for place, p in zip(kept, perm, strict=True):
        after[place] = kept[p]
    return Moved({0: perm}, (tuple(after),))


def _pad(node: ir.Node, perm: Perm) -> Moved | None:
    back = inverse(perm)
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        axes = constant_of(node.inputs[3])
        if axes is None:
            return None
        return Moved({0: perm}, (perm,), integers={3: [perm[int(a)] for a in axes.reshape(-1)]})
    pads = attribute(node, "pads")
    given = constant_of(node.inputs[1]) if len(node.inputs) > 1 else None
    numbers = pads if given is None else [int(p) for p in given.reshape(-1)]
    if numbers is None or len(numbers) != 2 * len(perm):
        return None
    new = [numbers[i] for i in back] + [numbers[len(perm) + i] for i in back]
    if given is None:
        return Moved({0: perm}, (perm,), {"pads": new})
    return Moved({0: perm}, (perm,), integers={1: new})


def _slice(node: ir.Node, perm: Perm) -> Moved | None:
    if len(node.inputs) == 1:
        axes = attribute(node, "axes") or range(len(attribute(node, "starts", ())))
        return Moved({0: perm}, (perm,), {"axes": [perm[a] for a in axes]})
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        given = constant_of(node.inputs[3])
        axes = None if given is None else [int(a) for a in given.reshape(-1)]
    else:
        count = dims_of(node.inputs[1])
        axes = list(range(count[0])) if count is not None and isinstance(count[0], int) else None
    if axes is None or len(node.inputs) < 4:
        return None  # an input that is not there yet would have to be added
    return Moved({0: perm}, (perm,), integers={3: [perm[a] for a in axes]})


def _quantisation(node: ir.Node, perm: Perm) -> Moved | None:
    scale = dims_of(node.inputs[1])
    if scale is None or len(scale) > 1 or attribute(node, "block_size", 0):
        return None
    if scale in ((), (1,)):
        return Moved({0: perm}, (perm,))
    changed = _axis(node, perm, 1)
    return None if changed is None else Moved({0: perm}, (perm,), changed)


AXIS: dict[str, Callable[[ir.Node, Perm], Moved | None]] = {
    "ArgMax": _extremum,
    "ArgMin": _extremum,
    "Concat": _concat,
    "DequantizeLinear": _quantisation,
    "Hardmax": _softmax,
    "LogSoftmax": _softmax,
    "Pad": _pad,
    "QuantizeLinear": _quantisation,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "TopK": _top,
    "Unsqueeze": _unsqueeze,
    **dict.fromkeys(sorted(REDUCTIONS), _reduction),
}
