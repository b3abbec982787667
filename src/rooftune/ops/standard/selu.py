"""Selu: gamma · x where positive, gamma · (alpha · eˣ − alpha) elsewhere."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Selu")
class Selu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # exp, times alpha, minus alpha, select the branch, times gamma
        n = x.elements
        return Work(elementwise={"exp": n, "mul": 2 * n, "add": n, "compare": n})

    cases = (
        Case("float32[2,2] -> float32[2,2]", flops=20, elementwise={"exp": 4, "mul": 8, "add": 4, "compare": 4},
             bytes_read=16, bytes_written=16),
        Case("float64[N,3] -> float64[N,3]", flops="15*N", bytes_read="24*N", bytes_written="24*N"),
    )
