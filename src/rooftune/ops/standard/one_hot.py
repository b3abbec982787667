"""OneHot: a tensor of off-values with one on-value per index; the output is filled, nothing is computed."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("OneHot", since=9)
class OneHot:
    def work(self, indices: TensorType, depth: TensorType, values: TensorType, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("int64[3], int64[1], float32[2] -> float32[3,10]", bytes_read=24 + 8 + 8, bytes_written=120),
        Case("int32[2,2], float32[], int8[2] -> int8[2,5,2]", {"axis": 1}, bytes_read=16 + 4 + 2, bytes_written=20),
    )
