"""Per-channel arithmetic behind a BatchNormalization becomes part of its scale and bias."""

from __future__ import annotations

import numpy as np

from rooftune.graph.constants import constant_of
from rooftune.rewrite.axes import rank_of
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.per_channel import Floats, along_axis, factors_of
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.rewrite.weights import batchnorm_affine, computes_statistics
from rooftune.verdicts import Exactness, Refusal

_NORM = "norm=BatchNormalization(x, scale!, shift!, mean, var)"


class FoldAffineIntoBatchnorm(Rule):
    """Fold per-channel Mul, Div, Add, Sub, Neg or a BatchNormalization into the BatchNormalization before it."""

    pattern = (
        f"Mul({_NORM}, $c)",
        f"Div({_NORM}, $c)",
        f"Add({_NORM}, $c)",
        f"Sub({_NORM}, $c)",
        f"Sub($c, {_NORM})",
        f"Neg({_NORM})",
        f"BatchNormalization({_NORM}, outer_scale!, outer_shift!, outer_mean!, outer_var!)",
    )
    exactness = Exactness.REASSOCIATES

    def replace(self, m: Match, new: Builder) -> Replacement:
        if computes_statistics(m.norm):
            return Refusal("the BatchNormalization computes statistics of its own")
        scale, shift = m.array("scale"), m.array("shift")
        if scale is None or shift is None:
            return Refusal("the parameters of the BatchNormalization are not known")
        affine = _affine(m, scale.size)
        if affine is None:
            return Refusal("what follows is not one finite factor or number per channel")
        gain, added = affine
        merged_scale = new.constant(scale.astype(np.float64) * gain, like=m.scale)
        merged_shift = new.constant(shift.astype(np.float64) * gain + added, like=m.shift)
        return new.BatchNormalization(m.x, merged_scale, merged_shift, m.mean, m.var, like=m.norm)

    examples = (
        Example(
            "multiplied and shifted",
            """(float[1,3,8,8] x) => (float[1,3,8,8] y) <float[3] scale, float[3] shift, float[3] mean, float[3] var,
            float[3,1,1] k, float[1,3,1,1] d>
            { n = BatchNormalization(x, scale, shift, mean, var) t = Mul(n, k) y = Add(d, t) }""",
            "y = BatchNormalization(x, #, #, #, #)",
        ),
        Example(
            "divided, taken from a constant, negated; mean and variance of the run",
            """(float[2,3] x, float[3] mean) => (float[2,3] y) <float[3] scale, float[3] shift, float[3] var,
            float[3] var_k, float d = {2}>
            { n = BatchNormalization<epsilon=0.5>(x, scale, shift, mean, var)
              t = Div(n, var_k) u = Sub(d, t) v = Sub(u, var_k) y = Neg(v) }""",
            "y = BatchNormalization<epsilon=0.5>(x, #, #, mean, #)",
        ),
        Example(
            "a second one",
            """(float[1,3,8] x) => (float[1,3,8] y) <float[3] scale, float[3] shift, float[3] mean, float[3] var,
            float[3] s2, float[3] b2, float[3] m2, float[3] var2>
            { n = BatchNormalization(x, scale, shift, mean, var) y = BatchNormalization(n, s2, b2, m2, var2) }""",
            "y = BatchNormalization(x, #, #, #, #)",
        ),
        Example(
            "operator set 7",
            """(float[1,3,8,8] x) => (float[1,3,8,8] y) <float[3] scale, float[3] shift, float[3] mean, float[3] var,
            float[3,1,1] k> { n = BatchNormalization(x, scale, shift, mean, var) y = Mul(n, k) }""",
            "y = BatchNormalization(x, #, #, #, #)",
            opset=7,
        ),
        Example(
            "a factor per column",
            """(float[1,3,8,8] x) => (float[1,3,8,8] y) <float[3] scale, float[3] shift, float[3] mean, float[3] var,
            float[8] k> { n = BatchNormalization(x, scale, shift, mean, var) y = Mul(n, k) }""",
            refused="not one finite factor",
        ),
        Example(
            "two readers",
            """(float[1,3,8,8] x) => (float[1,3,8,8] y, float[1,3,8,8] n)
            <float[3] scale, float[3] shift, float[3] mean, float[3] var, float k = {2}>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Mul(n, k) }""",
            refused="output of the graph",
        ),
    )


def _affine(m: Match, channels: int) -> tuple[Floats, Floats] | None:
    """Gain and shift of the root over what the inner BatchNormalization gives."""
    step, zero = m.root, np.zeros(channels)
    if step.op_type == "BatchNormalization":
        return batchnorm_affine(m)
    array = constant_of(m.found.get("c"))
    rank = rank_of(m.norm.outputs[0])
    if step.op_type in ("Mul", "Div", "Neg"):
        gain = factors_of(step, array, rank, 1, channels)
        return None if gain is None else (gain, zero)
    shift = along_axis(array, rank, 1, channels)
    if shift is None:
        return None
    if step.op_type == "Add":
        return zero + 1, shift
    return (zero - 1, shift) if step.inputs[0] is m.c else (zero + 1, -shift)
