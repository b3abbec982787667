"""Embeddings: rows of a table, which stays as it is, copied to where the tokens lie that select them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rooftune.compiler.emit.integers import integer, within
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Embedding, Floats
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


def _emit(name: str, op: Embedding, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """A token is a job: its row, block by block."""
    y = maps[op.y]
    code, at = begin(name, ["x", "table", "y"], target)
    with jobs(code, y.images * y.height * y.width) as job:
        image, pixel = job // (y.height * y.width), job % (y.height * y.width)
        row, column = pixel // y.width, pixel % y.width
        number = integer(code, at["x"], op.indices, op.pieces, (image, 0, row, column))
        source = code.at(at["table"], within(code, number, op.rows) * y.channels)
        into = code.at(at["y"], image * y.image + row * y.row + column * y.block + y.origin)
        whole = y.channels // y.block
        with code.loop(0, whole) as block:
            code.store(code.load(source, block * y.block), into, block * y.plane)
        # behind the last row there may be nothing that can be read
        with code.loop(0, y.channels - whole * y.block) as rest:
            one = code.load(source, rest + whole * y.block, "float")
            code.store(one, into, rest + whole * y.plane)
    return [Phase(code, (Operand("input", op.x), Operand.weights(op.table, "table"), Operand.value(op.y)))]


def _weights(op: Embedding, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    return {"table": np.ascontiguousarray(numbers(op.table)).reshape(-1)}


KERNELS = (Kernel(Embedding, lambda op: "embedding", _emit, lambda op: ("table",), _weights),)
"""What selects rows of a table."""
