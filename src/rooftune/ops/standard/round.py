"""Round: to the nearest whole number, halves to the even one."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Round", since=11)
class Round:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"round": x.elements})

    cases = (
        Case("float32[5] -> float32[5]", flops=5, elementwise={"round": 5}, bytes_read=20, bytes_written=20),
        Case("float16[2,0] -> float16[2,0]", flops=0, bytes_read=0, bytes_written=0),
    )
