"""ExpandDims: the same elements with one axis of length one more; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ExpandDims", domain="com.microsoft")
class ExpandDims:
    is_view = True

    def work(self, x: TensorType, axis: TensorType, *, y: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[3,4], int32[] -> float32[1,3,4]", bytes_read=48 + 4, bytes_written=48),
        Case("int8[N], int32[] -> int8[N,1]", bytes_read="N + 4", bytes_written="N"),
    )
