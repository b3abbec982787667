"""Unsqueeze: the same elements with more axes of length one; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Unsqueeze")
class Unsqueeze:
    is_view = True

    def work(self, data: TensorType, axes: TensorType | None = None, *, expanded: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[3,5], int64[2] -> float32[1,3,5,1]", bytes_read=60 + 16, bytes_written=60),
        # opset 1: the axes are an attribute
        Case("int8[N] -> int8[N,1]", {"axes": [1]}, bytes_read="N", bytes_written="N"),
    )
