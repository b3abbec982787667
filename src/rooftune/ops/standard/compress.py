"""Compress: the slices of a tensor whose condition is true are copied out; the others are not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Compress", since=9)
class Compress:
    reads_part = ("input",)

    def work(self, input: TensorType, condition: TensorType, *, output: TensorType) -> Work:
        # the condition selects, it computes nothing; how many slices it keeps stands in the output's shape
        return Work(reads=(output.bytes, condition.bytes))

    cases = (
        Case("float32[3,2], bool[3] -> float32[2,2]", {"axis": 0}, bytes_read=16 + 3, bytes_written=16),
        # two of six elements kept from the flattened input
        Case("float64[2,3], bool[5] -> float64[2]", bytes_read=16 + 5, bytes_written=16),
        Case("float32[3,2], bool[3] -> float32[K,2]", {"axis": 0}, bytes_read="8*K + 3", bytes_written="8*K"),
    )
