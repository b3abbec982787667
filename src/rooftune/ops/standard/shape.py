"""Shape: the dimensions of a tensor; the tensor itself is not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Shape")
class Shape:
    reads_part = ("data",)

    def work(self, data: TensorType, *, shape: TensorType) -> Work:
        return Work(reads=(0,))

    cases = (
        Case("float32[2,3,4] -> int64[3]", bytes_read=0, bytes_written=24),
        # only the last axis asked for
        Case("float32[N,3,4] -> int64[1]", {"start": -1}, bytes_read=0, bytes_written=8),
    )
