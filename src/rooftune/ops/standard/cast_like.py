"""CastLike: every element in the number format of another tensor."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("CastLike", since=15)
class CastLike:
    reads_part = ("target_type",)

    def work(self, x: TensorType, target_type: TensorType, *, y: TensorType) -> Work:
        # the second tensor lends its type only; to the format it has already: a copy
        convert = 0 if x.dtype is y.dtype else x.elements
        return Work(elementwise={"convert": convert}, reads=(x.bytes, 0))

    cases = (
        Case("float32[2,3], float16[100] -> float16[2,3]", flops=6, elementwise={"convert": 6},
             bytes_read=24, bytes_written=12),
        Case("int32[N,2], float64[] -> float64[N,2]", flops="2*N", bytes_read="8*N", bytes_written="16*N"),
        Case("uint8[7], uint8[1] -> uint8[7]", flops=0, bytes_read=7, bytes_written=7),
    )
