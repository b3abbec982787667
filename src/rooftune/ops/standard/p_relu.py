"""PRelu: the element where positive, a learned slope times it elsewhere."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("PRelu")
class PRelu:
    def work(self, x: TensorType, slope: TensorType, *, y: TensorType) -> Work:
        # the slope is broadcast to x, never the other way round: times slope, select by sign
        n = x.elements
        return Work(elementwise={"mul": n, "compare": n})

    cases = (
        # one slope for each of the three channels
        Case("float32[2,3,4], float32[3,1] -> float32[2,3,4]", flops=48, elementwise={"mul": 24, "compare": 24},
             bytes_read=96 + 12, bytes_written=96),
        Case("float16[N,8], float16[1] -> float16[N,8]", flops="16*N", bytes_read="16*N + 2", bytes_written="16*N"),
    )
