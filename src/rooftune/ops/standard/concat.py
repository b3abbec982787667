"""Concat: tensors copied side by side along one axis; every element moves once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Concat")
class Concat:
    def work(self, *inputs: TensorType, concat_result: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[2,3], float32[2,5] -> float32[2,8]", {"axis": 1}, bytes_read=24 + 40, bytes_written=64),
        Case("int64[1], int64[2], int64[0] -> int64[3]", {"axis": 0}, bytes_read=24, bytes_written=24),
        Case("float16[N,4], float16[N,4] -> float16[N,8]", {"axis": -1}, bytes_read="16*N", bytes_written="16*N"),
    )
