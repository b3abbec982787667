"""Trilu: one triangle of every matrix kept, the other filled with zeros; engines copy the whole and clear a part."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Trilu", since=14)
class Trilu:
    upper: int = 1

    def work(self, input: TensorType, k: TensorType | None = None, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("int64[4,5] -> int64[4,5]", bytes_read=160, bytes_written=160),
        Case("float32[N,3,3], int64[] -> float32[N,3,3]", {"upper": 0}, bytes_read="36*N + 8", bytes_written="36*N"),
    )
