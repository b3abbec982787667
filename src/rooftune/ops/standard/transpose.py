"""Transpose: axes in another order; every element moves once."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Transpose")
class Transpose:
    perm: Sequence[int] = ()

    def work(self, data: TensorType, *, transposed: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[2,3,4] -> float32[4,3,2]", bytes_read=96, bytes_written=96),
        Case("int4[3,5] -> int4[5,3]", {"perm": [1, 0]}, bytes_read=8, bytes_written=8),
        Case("float16[N,3,8,8] -> float16[N,8,8,3]", {"perm": [0, 2, 3, 1]}, bytes_read="384*N", bytes_written="384*N"),
    )
