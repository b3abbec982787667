"""Functions of single numbers: they join what makes their input, or run by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from rooftune.compiler.emit.activation import ACTIVATIONS
from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lowering import Lowering
from rooftune.compiler.operations import Activation, Convolution, Dense, Pointwise
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_PLAIN = {"Relu": "relu", "HardSwish": "hardswish", "Sigmoid": "sigmoid"}
_INFINITE = float("inf")


def _activation(node: ir.Node) -> Activation | None:
    if node.op_type in _PLAIN:
        return Activation(_PLAIN[node.op_type])
    if node.op_type == "LeakyRelu":
        return Activation("leaky", float(attribute(node, "alpha", 0.01)))
    if node.op_type == "HardSigmoid":
        return Activation("hardsigmoid", float(attribute(node, "alpha", 0.2)), float(attribute(node, "beta", 0.5)))
    bounds = [constant_of(value) if (value := input_of(node, p)) is not None else None for p in (1, 2)]
    if len(node.inputs) == 1:
        low, high = attribute(node, "min", None), attribute(node, "max", None)
    else:
        absent = [input_of(node, p) is None for p in (1, 2)]
        if any(b is None and not a for b, a in zip(bounds, absent, strict=True)):
            return None
        low, high = (None if b is None else float(b.reshape(-1)[0]) for b in bounds)
    if high is None and low == 0:
        return Activation("relu")
    return Activation("clip", -_INFINITE if low is None else float(low), _INFINITE if high is None else float(high))


def _activate(work: Lowering, node: ir.Node) -> Refusal | None:
    activation, before = _activation(node), work.last(node.inputs[0])
    if activation is None or activation.kind not in ACTIVATIONS:
        return Refusal("its bounds are not known" if activation is None else "there is no code for it")
    y = node.outputs[0].name or ""
    if isinstance(before, Convolution | Dense | Pointwise) and not before.activation.kind:
        done = replace(before, nodes=(*before.nodes, node.name or ""), y=y, activation=activation)
        work.exchange(before, done, node.outputs[0])
        return None
    x = work.whole(node.inputs[0])
    if x is None:
        return Refusal("its input is no map of known size")
    work.put_like(Pointwise((node.name or "",), x.held, y, activation=activation), node.outputs[0], x)
    return None


TAKES: Mapping[str, Take] = dict.fromkeys((*_PLAIN, "Clip", "HardSigmoid", "LeakyRelu"), _activate)
