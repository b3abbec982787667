"""Recurrent layers: what RNN, GRU and LSTM share, counted over every step and direction."""

from __future__ import annotations

from collections.abc import Sequence

from rooftune.ops.activation import activation
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count

__all__ = ["recurrent_work"]


def recurrent_work(
    x: TensorType,
    w: TensorType,
    r: TensorType,
    b: TensorType | None,
    *,
    activations: Sequence[str],
    times: Sequence[int],
    clip: bool,
    cell: dict[str, int],
) -> Work:
    """Work of a recurrent layer.

    Shapes: w (directions, gates · H, inputs), r (directions, gates · H, H), x with sequence and batch in front.
    `activations` are the functions of one direction after the other, each applied `times` (of its place in the
    direction) for every hidden unit and step; `cell` is the other arithmetic of one hidden unit and step.
    Sequences are counted in full: how many steps `sequence_lens` cuts is data.
    """
    steps = x.shape[0] * x.shape[1]  # sequence · batch, in either layout
    directions, hidden = w.shape[0], r.shape[2]
    functions = activations[: len(times) * directions]  # the schema's own default names two for one direction
    if len(functions) != len(times) * directions:
        raise ValueError(f"{len(activations)} activations for {directions} direction(s) of {len(times)}")
    units = steps * hidden
    parts: list[dict[str, Count]] = [{kind: n * units * directions for kind, n in cell.items()}]
    parts += [_function(name, x, units * times[i % len(times)]) for i, name in enumerate(functions)]
    if b is not None:
        parts.append({"add": steps * b.elements})  # one bias of the input side, one of the recurrent side
    if clip:
        # both bounds, in front of every activation
        parts.append({"compare": 2 * units * directions * sum(times)})
    # each step multiplies its input by W and the state before by R
    return Work(macs=steps * (w.elements + r.elements), elementwise=tally(*parts))


def _function(name: str, x: TensorType, n: Count) -> dict[str, Count]:
    if name == "Affine":
        return {"mul": n, "add": n}
    if name == "ScaledTanh":
        return {"mul": 2 * n, "tanh": n}
    return dict(activation(name, TensorType(x.dtype, (n,))))
