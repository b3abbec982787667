"""Celu: max(0, x) + min(0, alpha · (e^(x/alpha) − 1))."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Celu", since=12)
class Celu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # divide by alpha, exp, minus one, times alpha; max and min with zero; the sum of both
        n = x.elements
        return Work(elementwise={"div": n, "exp": n, "add": 2 * n, "mul": n, "compare": 2 * n})

    cases = (
        Case("float32[3] -> float32[3]", flops=21, elementwise={"div": 3, "exp": 3, "add": 6, "mul": 3, "compare": 6},
             bytes_read=12, bytes_written=12),
        Case("float32[N,4] -> float32[N,4]", {"alpha": 2.0}, flops="28*N", bytes_read="16*N", bytes_written="16*N"),
    )
