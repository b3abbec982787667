"""Sigmoid: 1 / (1 + e⁻ˣ)."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Sigmoid")
class Sigmoid:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # negate, exp, add one, divide
        n = x.elements
        return Work(elementwise={"add": 2 * n, "exp": n, "div": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=24, elementwise={"add": 12, "exp": 6, "div": 6},
             bytes_read=24, bytes_written=24),
        Case("float16[N,5] -> float16[N,5]", flops="20*N", bytes_read="10*N", bytes_written="10*N"),
    )
