"""Slice: a range of every axis copied out; the rest of the data is not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Slice")
class Slice:
    reads_part = ("data",)

    def work(
        self,
        data: TensorType,
        starts: TensorType | None = None,
        ends: TensorType | None = None,
        axes: TensorType | None = None,
        steps: TensorType | None = None,
        *,
        output: TensorType,
    ) -> Work:
        # ranges do not overlap: what is written is what was read
        return Work(reads=(output.bytes, *(0 if i is None else i.bytes for i in (starts, ends, axes, steps))))

    cases = (
        Case("float32[20,10,5], int64[2], int64[2], int64[2] -> float32[3,10,5]",
             bytes_read=600 + 3 * 16, bytes_written=600),
        # opset 1: the ranges are attributes
        Case("float32[4,4] -> float32[2,4]", {"starts": [1], "ends": [3], "axes": [0]},
             bytes_read=32, bytes_written=32),
        # every second element of an open axis, steps given without axes
        Case("int8[M], int64[1], int64[1], -, int64[1] -> int8[N]", bytes_read="N + 24", bytes_written="N"),
    )
