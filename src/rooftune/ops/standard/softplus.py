"""Softplus: ln(eˣ + 1)."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Softplus")
class Softplus:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # exp, add one, log
        n = x.elements
        return Work(elementwise={"exp": n, "add": n, "log": n})

    cases = (
        Case("float32[4] -> float32[4]", flops=12, elementwise={"exp": 4, "add": 4, "log": 4},
             bytes_read=16, bytes_written=16),
        Case("float64[N,2] -> float64[N,2]", flops="6*N", bytes_read="16*N", bytes_written="16*N"),
    )
