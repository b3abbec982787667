"""Sin: the sine of every element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sin", since=7)
class Sin:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"trig": x.elements})

    cases = (
        Case("float32[6] -> float32[6]", flops=6, elementwise={"trig": 6}, bytes_read=24, bytes_written=24),
        Case("float32[N,D] -> float32[N,D]", flops="N*D", bytes_read="4*N*D", bytes_written="4*N*D"),
    )
