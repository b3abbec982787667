"""Unique: the distinct elements of a vector, their places and their numbers, in the order they appear."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.unique import Unique as StandardUnique
from rooftune.ops.types import TensorType, Work


@operator("Unique", domain="com.microsoft")
class Unique:
    def work(
        self, x: TensorType, *, y: TensorType, idx: TensorType | None = None, counts: TensorType | None = None
    ) -> Work:
        # an upper bound like that of the standard operator: how many elements are distinct is data
        return StandardUnique().work(x, y=y)

    cases = (
        # six elements: 6 · 3 to sort, 6 to drop doubles
        Case("float32[6] -> float32[U], int64[6], int64[U]", flops=24, elementwise={"compare": 24},
             bytes_read=24, bytes_written="4*U + 48 + 8*U"),
        # eight elements: 8 · 3 + 8
        Case("float32[8] -> float32[3], int64[8], int64[3]", flops=32, bytes_read=32, bytes_written=12 + 64 + 24),
    )
