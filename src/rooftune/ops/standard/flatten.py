"""Flatten: the same elements as a matrix; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Flatten")
class Flatten:
    is_view = True

    def work(self, input: TensorType, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[2,3,4] -> float32[2,12]", bytes_read=96, bytes_written=96),
        Case("int8[5] -> int8[1,5]", {"axis": 0}, bytes_read=5, bytes_written=5),
    )
