"""Scatter: the former name of ScatterElements, without a reduction (opsets 9 and 10)."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Scatter", since=9)
class Scatter:
    def work(self, data: TensorType, indices: TensorType, updates: TensorType, *, output: TensorType) -> Work:
        # the data is copied whole to the output, then one element per index is replaced
        return Work()

    cases = (
        Case("float32[3,3], int64[2,3], float32[2,3] -> float32[3,3]", bytes_read=36 + 48 + 24, bytes_written=36),
        Case("int8[N,5], int32[1,2], int8[1,2] -> int8[N,5]", {"axis": 1}, bytes_read="5*N + 10", bytes_written="5*N"),
    )
