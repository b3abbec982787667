"""Softsign: x / (1 + |x|)."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Softsign")
class Softsign:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # absolute value, add one, divide
        n = x.elements
        return Work(elementwise={"compare": n, "add": n, "div": n})

    cases = (
        Case("float32[2,2] -> float32[2,2]", flops=12, elementwise={"compare": 4, "add": 4, "div": 4},
             bytes_read=16, bytes_written=16),
        Case("float16[N] -> float16[N]", flops="3*N", bytes_read="2*N", bytes_written="2*N"),
    )
