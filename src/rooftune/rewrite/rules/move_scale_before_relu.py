"""A positive factor behind a Relu moves before it, where the convolution can take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_tensor
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import batchnorm_affine, output_channels
from rooftune.verdicts import Exactness, Refusal

FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


class MoveScaleBeforeRelu(Rule):
    """Move a positive factor per channel from behind a Relu, LeakyRelu or PRelu to the convolution before it.

    k·Relu(x) = Relu(k·x) for k > 0. A shift has no such place: Relu(x) + s is no Relu of anything.
    """

    pattern = (
        "Mul(act=Relu|LeakyRelu|PRelu(c=Conv|ConvTranspose(x, $w, _), slope?), $k)",
        "BatchNormalization(act=Relu|LeakyRelu|PRelu(c=Conv|ConvTranspose(x, $w, _), slope?), $scale, $shift, $mean,"
        " $var)",
    )
    exactness = Exactness.REASSOCIATES

    def guard(self, m: Match) -> Refusal | None:
        if m.root.op_type == "Mul":
            return None
        affine = batchnorm_affine(m)
        if affine is None:
            return Refusal("the BatchNormalization computes statistics of its own or its parameters are not finite")
        gain, shift = affine
        if np.any(shift != 0):
            return Refusal(
                f"the BatchNormalization shifts what comes out of the {m.act.op_type}, which no weight before it can do"
            )
        if not (gain > 0).all():
            return Refusal(f"{np.sum(gain <= 0)} channels have a factor that is not positive")
        return None

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match) or node.outputs[0].dtype not in FLOATS:
            return None
        if node.op_type == "Mul" and _factor(found) is None:
            return None
        return found

    def replace(self, m: Match, new: Builder) -> Replacement:
        convolved = m.c.outputs[0]
        if m.root.op_type == "Mul":
            factor = _factor(m)
        else:
            affine = batchnorm_affine(m)
            rank = len(constant_tensor(m.w).shape.dims)
            factor = None if affine is None else affine[0].reshape(-1, *[1] * (rank - 2))
        assert factor is not None
        scaled = new.Mul(convolved, new.constant(factor, like=m.k if m.root.op_type == "Mul" else m.scale))
        return new.node(m.act.op_type, [scaled, m.slope], like=m.act)[0]

    examples = (
        Example(
            "per channel",
            """(float[1,2,4,4] x) => (float[1,3,4,4] y) <float[3,2,1,1] w, float[3,1,1] k = {1.0,0.5,3.0}>
            { c = Conv(x, w) r = Relu(c) y = Mul(r, k) }""",
            "c = Conv(x, #)\nv1 = Mul(c, #)\ny = Relu(v1)",
        ),
        Example(
            "one number behind a PRelu",
            """(float[1,2,4,4] x) => (float[1,3,4,4] y) <float[3,2,1,1] w, float[3,1,1] s, float k = {0.5}>
            { c = Conv(x, w) r = PRelu(c, s) y = Mul(k, r) }""",
            "c = Conv(x, #)\nv1 = Mul(c, #)\ny = PRelu(v1, #)",
        ),
        Example(
            "a BatchNormalization without shift",
            """(float[1,2,4,4] x) => (float[1,2,4,4] y)
            <float[2,2,1,1] w, float[2] varscale, float[2] zero = {0,0}, float[2] var>
            { c = Conv(x, w) r = LeakyRelu<alpha=0.5>(c) y = BatchNormalization(r, varscale, zero, zero, var) }""",
            "c = Conv(x, #)\nv1 = Mul(c, #)\ny = LeakyRelu<alpha=0.5>(v1)",
        ),
        Example(
            "a BatchNormalization with a shift",
            """(float[1,2,4,4] x) => (float[1,2,4,4] y)
            <float[2,2,1,1] w, float[2] varscale, float[2] shift, float[2] mean, float[2] var>
            { c = Conv(x, w) r = Relu(c) y = BatchNormalization(r, varscale, shift, mean, var) }""",
            refused="shifts what comes out of the Relu",
        ),
    )


def _factor(m: Match) -> NDArray[Any] | None:
    """The factor, positive and one number or one per channel; None for any other."""
    factor = m.array("k")
    rank = len(constant_tensor(m.w).shape.dims)
    if factor is None or factor.ndim > rank or not (factor > 0).all() or not np.isfinite(factor).all():
        return None
    full = (1,) * (rank - factor.ndim) + factor.shape
    per_channel = all(d == 1 for i, d in enumerate(full) if i != 1) and full[1] in (1, output_channels(m.c))
    return factor if per_channel else None
