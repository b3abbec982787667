"""IsInf: whether an element is infinite, of either sign or of one."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("IsInf", since=10)
class IsInf:
    detect_negative: int = 1
    detect_positive: int = 1

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # one comparison with each infinity asked for
        signs = bool(self.detect_negative) + bool(self.detect_positive)
        return Work(elementwise={"compare": signs * x.elements})

    cases = (
        Case("float32[6] -> bool[6]", flops=12, elementwise={"compare": 12}, bytes_read=24, bytes_written=6),
        Case("float64[N] -> bool[N]", {"detect_negative": 0}, flops="N", bytes_read="8*N", bytes_written="N"),
        # neither sign asked for: nothing is compared, the answer is false
        Case("float16[4] -> bool[4]", {"detect_negative": 0, "detect_positive": 0}, flops=0,
             bytes_read=8, bytes_written=4),
    )
