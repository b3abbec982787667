"""BitCast: the same bits read as another number format; engines move nothing."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BitCast", since=26)
class BitCast:
    is_view = True

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[2,3] -> int32[2,3]", {"to": 6}, flops=0, bytes_read=24, bytes_written=24),
        Case("int8[N,4] -> uint8[N,4]", {"to": 2}, flops=0, bytes_read="4*N", bytes_written="4*N"),
    )
