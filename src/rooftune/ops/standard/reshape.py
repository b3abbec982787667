"""Reshape: the same elements under another shape; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Reshape")
class Reshape:
    is_view = True

    def work(self, data: TensorType, shape: TensorType | None = None, *, reshaped: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[2,3], int64[1] -> float32[6]", bytes_read=24 + 8, bytes_written=24),
        Case("float32[0,3], int64[2] -> float32[3,0]", bytes_read=16, bytes_written=0),
    )
