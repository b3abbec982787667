"""Pad: margins of one number, or of what lies inside; negative ones cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from rooftune.compiler.lower.node import Take, attribute, input_of
from rooftune.compiler.lowering import Lowering, static_dims
from rooftune.compiler.operations import Pad, Resize
from rooftune.compiler.views import CHANNEL, COLUMN, IMAGE, ROW
from rooftune.graph.constants import constant_of
from rooftune.verdicts import Refusal

__all__ = ["TAKES"]

_MODES = frozenset({"constant", "edge", "reflect", "wrap"})


def _pad(work: Lowering, node: ir.Node) -> Refusal | None:
    dims = static_dims(node.inputs[0])
    margins = None if dims is None else _margins(node, len(dims))
    if dims is None or margins is None:
        return Refusal("its margins are not known")
    mode = attribute(node, "mode", "constant")
    moved = [d for d, both in enumerate(margins) if any(both)]
    axes = _axes(len(dims), moved)
    if axes is None:
        return Refusal("it pads other dimensions than rows and columns")
    value = _value(node)
    if value is None:
        return Refusal("what it fills with is not known")
    x = work.map(node.inputs[0], axes)
    if x is None:
        return Refusal("its input is no map of known size")
    y, out = node.outputs[0].name or "", node.outputs[0]
    by_axis = {axis: margins[d] for d, axis in enumerate(axes)}
    rows, columns = by_axis.get(ROW, (0, 0)), by_axis.get(COLUMN, (0, 0))
    if mode == "constant" and min(*rows, *columns) >= 0:
        work.put(Pad((node.name or "",), x, y, (rows[0], columns[0]), value), out, axes)
        return None
    cuts, adds = min(*rows, *columns) < 0, max(*rows, *columns) > 0
    # what is cut may be what would be repeated: engines differ
    if mode not in _MODES or (cuts and (adds or mode == "wrap")):
        return Refusal(f"it pads in mode {mode}, or cuts as well")
    _, _, height, width = work.lowered.shapes[x]
    places = [_places(size, *both, mode) for size, both in ((height, rows), (width, columns))]
    if places[0] is None or places[1] is None:
        return Refusal("its margins are wider than what they mirror")
    work.put(Resize((node.name or "",), x, y, "nearest", places[0], places[1]), out, axes)
    return None


def _margins(node: ir.Node, rank: int) -> list[tuple[int, int]] | None:
    """Before and after every dimension."""
    given = attribute(node, "pads", None) if len(node.inputs) == 1 else constant_of(input_of(node, 1))
    if given is None:
        return None
    flat = [int(p) for p in given]
    chosen = input_of(node, 3)
    where = list(range(rank)) if chosen is None else constant_of(chosen)
    if where is None or len(flat) != 2 * len(where):
        return None
    margins = [(0, 0)] * rank
    for place, axis in enumerate(where):
        margins[int(axis) % rank] = (flat[place], flat[place + len(where)])
    return margins


def _value(node: ir.Node) -> float | None:
    if len(node.inputs) == 1:
        return float(attribute(node, "value", 0.0))
    given = input_of(node, 2)
    if given is None:
        return 0.0
    number = constant_of(given)
    return None if number is None or number.size != 1 else float(number.reshape(-1)[0])


def _axes(rank: int, moved: Sequence[int]) -> tuple[int, ...] | None:
    """Axes of a map for every dimension, such that only rows and columns are padded."""
    known: Mapping[int, tuple[tuple[int, ...], ...]] = {
        1: ((COLUMN,),),
        2: ((IMAGE, COLUMN), (ROW, COLUMN)),
        3: ((IMAGE, CHANNEL, COLUMN), (IMAGE, COLUMN, CHANNEL), (CHANNEL, ROW, COLUMN)),
        4: ((IMAGE, CHANNEL, ROW, COLUMN), (IMAGE, ROW, COLUMN, CHANNEL)),
    }
    fitting = (axes for axes in known.get(rank, ()) if all(axes[d] in (ROW, COLUMN) for d in moved))
    return next(fitting, None)


def _places(size: int, before: int, after: int, mode: str) -> tuple[float, ...] | None:
    """Where every row (or column) of the result is read; None where a margin is wider than what it mirrors."""
    wanted = np.arange(-before, size + after)
    if mode == "edge":
        wanted = np.clip(wanted, 0, size - 1)
    elif mode == "wrap":
        wanted = wanted % size
    elif mode == "reflect":
        if max(before, after) >= size:
            return None
        wanted = np.where(wanted < 0, -wanted, wanted)
        wanted = np.where(wanted >= size, 2 * (size - 1) - wanted, wanted)
    return tuple(float(p) for p in wanted)


TAKES: Mapping[str, Take] = {"Pad": _pad}
