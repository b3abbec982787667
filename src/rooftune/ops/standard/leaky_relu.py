"""LeakyRelu: the element where positive, alpha times it elsewhere."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("LeakyRelu")
class LeakyRelu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # times alpha, select by sign
        n = x.elements
        return Work(elementwise={"mul": n, "compare": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=12, elementwise={"mul": 6, "compare": 6},
             bytes_read=24, bytes_written=24),
        Case("float16[N,3] -> float16[N,3]", {"alpha": 0.1}, flops="6*N", bytes_read="6*N", bytes_written="6*N"),
    )
