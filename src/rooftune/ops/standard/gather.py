"""Gather: rows of a table picked by index."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Gather")
class Gather:
    axis: int = 0

    reads_part = ("data",)

    def work(self, data: TensorType, indices: TensorType, *, output: TensorType) -> Work:
        # only the picked rows leave the table, once per pick
        return Work(reads=(output.bytes, indices.bytes))

    cases = (
        Case("float32[1000,8], int64[3] -> float32[3,8]", bytes_read=96 + 24, bytes_written=96),
        Case("float32[4,5], int64[] -> float32[5]", bytes_read=20 + 8, bytes_written=20),
    )
