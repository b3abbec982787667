"""Gather: rows of a table picked by index."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.types import TensorType, Work


@operator("Gather")
class Gather:
    axis: int = 0

    reads_part = ("data",)

    def work(self, data: TensorType, indices: TensorType, *, output: TensorType) -> Work:
        return Work(reads=(picked_bytes(data, output.elements), indices.bytes))

    cases = (
        Case("float32[1000,8], int64[3] -> float32[3,8]", bytes_read=96 + 24, bytes_written=96),
        Case("float32[4,5], int64[] -> float32[5]", bytes_read=20 + 8, bytes_written=20),
        # 100 picks out of two rows: the table is read once, the rest comes from cache
        Case("float32[2,5], int64[100] -> float32[100,5]", bytes_read=40 + 800, bytes_written=2000),
    )
