"""Expand: a tensor broadcast to a larger shape; read once, written in the larger shape."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Expand", since=8)
class Expand:
    def work(self, input: TensorType, shape: TensorType, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[3,1], int64[2] -> float32[3,6]", bytes_read=12 + 16, bytes_written=72),
        # the asked shape is [1, 1], the input's own axis of 4 wins
        Case("float16[4], int64[2] -> float16[1,4]", bytes_read=8 + 16, bytes_written=8),
        Case("float32[1,8], int64[2] -> float32[N,8]", bytes_read=32 + 16, bytes_written="32*N"),
    )
