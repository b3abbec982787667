"""Squeeze: the same elements without axes of length one; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Squeeze")
class Squeeze:
    is_view = True

    def work(self, data: TensorType, axes: TensorType | None = None, *, squeezed: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[1,3,1,5], int64[1] -> float32[3,1,5]", bytes_read=60 + 8, bytes_written=60),
        # opset 1: the axes are an attribute
        Case("float32[1,3,1,5] -> float32[3,5]", {"axes": [0, 2]}, bytes_read=60, bytes_written=60),
    )
