"""Cast: every element in another number format."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Cast")
class Cast:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # to the format it has already: a copy
        return Work(elementwise={"convert": 0 if x.dtype is y.dtype else x.elements})

    cases = (
        Case("float32[2,3] -> float16[2,3]", {"to": 10}, flops=6, elementwise={"convert": 6},
             bytes_read=24, bytes_written=12),
        # five elements of four bits fill two bytes and a half
        Case("float32[5] -> int4[5]", {"to": 22}, flops=5, bytes_read=20, bytes_written=3),
        Case("int64[N] -> float32[N]", {"to": 1}, flops="N", bytes_read="8*N", bytes_written="4*N"),
        Case("float32[4] -> float32[4]", {"to": 1}, flops=0, bytes_read=16, bytes_written=16),
    )
