"""Tile: a tensor repeated along its axes; read once, written as often as it is repeated."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Tile")
class Tile:
    def work(
        self, input: TensorType, repeats: TensorType, axis: TensorType | None = None, *, output: TensorType
    ) -> Work:
        return Work()

    cases = (
        Case("float32[2,3], int64[2] -> float32[4,9]", bytes_read=24 + 16, bytes_written=144),
        # opset 1: how often and along which axis are two tensors
        Case("float32[2,3], int64[1], int64[1] -> float32[2,6]", bytes_read=24 + 16, bytes_written=48),
    )
