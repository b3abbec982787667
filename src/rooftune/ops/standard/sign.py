"""Sign: −1, 0 or 1 by the sign of the element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sign", since=9)
class Sign:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"compare": x.elements})

    cases = (
        Case("float32[5] -> float32[5]", flops=5, elementwise={"compare": 5}, bytes_read=20, bytes_written=20),
        Case("int16[N,3] -> int16[N,3]", flops="3*N", bytes_read="6*N", bytes_written="6*N"),
    )
