"""Log: the natural logarithm of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Log")
class Log:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"log": x.elements})

    cases = (
        Case("float32[9] -> float32[9]", flops=9, elementwise={"log": 9}, bytes_read=36, bytes_written=36),
        Case("float16[N] -> float16[N]", flops="N", bytes_read="2*N", bytes_written="2*N"),
    )
