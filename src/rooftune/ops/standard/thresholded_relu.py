"""ThresholdedRelu: the element where it exceeds alpha, zero elsewhere."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ThresholdedRelu", since=10)
class ThresholdedRelu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"compare": x.elements})

    cases = (
        Case("float32[3,3] -> float32[3,3]", flops=9, elementwise={"compare": 9}, bytes_read=36, bytes_written=36),
        Case("float64[N] -> float64[N]", {"alpha": 2.0}, flops="N", bytes_read="8*N", bytes_written="8*N"),
    )
