"""Functions of single numbers: they join what makes their input, or run by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lower.repeats import fixed_numbers, operand
from rooftune.compiler.lowering import Lowering
from rooftune.compiler.operations import Activation, Convolution, Dense, Pointwise, Transposed
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES", "activate"]

_PLAIN = {
    "Abs": "abs",
    "Ceil": "ceil",
    "Cos": "cos",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "HardSwish": "hardswish",
    "Log": "log",
    "Mish": "mish",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Tanh": "tanh",
}
_WITH_NUMBERS: Mapping[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "Celu": ("celu", (("alpha", 1.0),)),
    "Elu": ("elu", (("alpha", 1.0),)),
    "HardSigmoid": ("hardsigmoid", (("alpha", 0.2), ("beta", 0.5))),
    "LeakyRelu": ("leaky", (("alpha", 0.01),)),
    "Selu": ("selu", (("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875))),
    "Shrink": ("shrink", (("lambd", 0.5), ("bias", 0.0))),
    "Swish": ("silu", (("alpha", 1.0),)),
    "ThresholdedRelu": ("thresholdedrelu", (("alpha", 1.0),)),
}
"""Operators with attributes: what they are called here, and the attributes with their defaults."""

_INFINITE = float("inf")


def _activation(node: ir.Node) -> Activation | None:
    if node.op_type in _PLAIN:
        return Activation(_PLAIN[node.op_type])
    if node.op_type in _WITH_NUMBERS:
        kind, named = _WITH_NUMBERS[node.op_type]
        return Activation(kind, *(float(attribute(node, name, default)) for name, default in named))
    if node.op_type == "Gelu":
        return Activation("gelu_tanh" if attribute(node, "approximate", "none") == "tanh" else "gelu")
    return _bounds(node)


def _bounds(node: ir.Node) -> Activation | None:
    """Clip; None where its bounds are not known."""
    given = [constant_of(value) if (value := input_of(node, p)) is not None else None for p in (1, 2)]
    if len(node.inputs) == 1:
        low, high = attribute(node, "min", None), attribute(node, "max", None)
    else:
        absent = [input_of(node, p) is None for p in (1, 2)]
        if any(b is None and not a for b, a in zip(given, absent, strict=True)):
            return None
        low, high = (None if b is None else float(b.reshape(-1)[0]) for b in given)
    if high is None and low == 0:
        return Activation("relu")
    return Activation("clip", -_INFINITE if low is None else float(low), _INFINITE if high is None else float(high))


def _take(work: Lowering, node: ir.Node) -> Refusal | None:
    activation = _activation(node)
    if activation is None:
        return Refusal("its bounds are not known")
    if activation.kind == "celu" and activation.low <= 0:
        return Refusal("its alpha is not positive")
    if activation.kind == "sigmoid" and _gates(node):
        # its product with its own input is one function; whoever multiplies takes both
        work.gates[node.outputs[0].name or ""] = node.name or ""
        return None
    return activate(work, node, node.inputs[0], activation)


def activate(
    work: Lowering,
    node: ir.Node,
    value: ir.Value | None,
    activation: Activation,
    nodes: tuple[str, ...] = (),
    readers: int = 1,
) -> Refusal | None:
    """Let whoever makes the value apply the function if nobody else reads it; or apply it in a pass over the value.

    nodes    of the graph that are taken besides; `readers` of the value that this stands for
    """
    before, y = work.last(value, readers), node.outputs[0].name or ""
    all_nodes = (*nodes, node.name or "")
    if isinstance(before, Convolution | Dense | Pointwise | Transposed) and not before.activation.kind:
        known = tuple(dict.fromkeys((*before.nodes, *all_nodes)))
        done = replace(before, nodes=known, y=y, activation=activation)
        work.exchange(before, done, node.outputs[0])
        return None
    x = work.whole(value)
    if x is None:
        return Refusal("its input is no map of known size")
    work.put_like(Pointwise(all_nodes, x.held, y, activation=activation), node.outputs[0], x)
    return None


def _gates(node: ir.Node) -> bool:
    """True for a Sigmoid that is read by a product with its input, and by nobody else."""
    uses = list(node.outputs[0].uses())
    if len(uses) != 1 or node.outputs[0].is_graph_output():
        return False
    reader = uses[0].node
    return reader.op_type == "Mul" and reader.domain == node.domain and node.inputs[0] in reader.inputs


def _slopes(work: Lowering, node: ir.Node) -> Refusal | None:
    """PRelu: with one slope, or with a map of them that is repeated."""
    x, slope, y, name = node.inputs[0], input_of(node, 1), node.outputs[0].name or "", node.name or ""
    numbers = fixed_numbers(slope)
    if numbers is not None and numbers.size and (numbers == numbers.reshape(-1)[0]).all():
        return activate(work, node, x, Activation("leaky", float(numbers.reshape(-1)[0])))
    view = work.whole(x)
    slopes = None if view is None else operand(work, slope, view, f"{y} slope")
    if view is None or slopes is None:
        return Refusal("its input, or its slope, is no map of known size")
    before, spread = work.last(x), work.lowered.shapes[slopes] != work.lowered.shapes[view.held]
    if (
        isinstance(before, Pointwise)
        and before.y == view.held
        and not before.kind
        and not before.activation.kind
        and work.made.get(slopes, -1) < work.made[before.y]
    ):
        done = replace(before, nodes=(*before.nodes, name), y=y, kind="prelu", other=slopes, spread=spread)
        work.exchange(before, done, node.outputs[0])
        return None
    work.put_like(Pointwise((name,), view.held, y, "prelu", slopes, spread), node.outputs[0], view)
    return None


TAKES: Mapping[str, Take] = {**dict.fromkeys((*_PLAIN, *_WITH_NUMBERS, "Clip", "Gelu"), _take), "PRelu": _slopes}
