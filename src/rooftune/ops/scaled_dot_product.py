"""Scaled dot-product attention: softmax(Q·Kᵀ·scale + mask)·V, the core of every attention operator."""

from __future__ import annotations

from rooftune.ops.activation import activation
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, Dim, DType

__all__ = ["rotary", "scaled_dot_product"]


def scaled_dot_product(
    dtype: DType,
    batch: Dim,
    heads: Dim,
    queries: Dim,
    keys: Dim,
    width: Dim,
    value_width: Dim,
    *,
    additions: int = 0,
    softcap: bool = False,
) -> Work:
    """Arithmetic of all heads together; bytes are left to the caller.

    `width` and `value_width` are those of all query heads side by side. Masked scores are counted: a causal mask
    halves what is needed, not what dense kernels compute. `additions`: masks and biases added to the scores.
    """
    scores = TensorType(dtype, (batch, heads, queries, keys))
    n = scores.elements
    # Q·Kᵀ sums over the head size, P·V over the keys: both make queries · keys products per column
    macs = batch * queries * keys * (width + value_width)
    scaled: dict[str, Count] = {"mul": n, "add": additions * n}
    # scores are divided by the cap, pass through tanh and are multiplied by the cap
    capped: dict[str, Count] = {"div": n, "tanh": n, "mul": n} if softcap else {}
    return Work(macs=macs, elementwise=tally(scaled, capped, activation("Softmax", scores)))


def rotary(elements: Count) -> dict[str, Count]:
    """Rotary position embedding of `elements` numbers: each is x·cos ± y·sin."""
    return {"mul": 2 * elements, "add": elements}
