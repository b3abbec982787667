"""Tanh: squash every element between −1 and 1."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Tanh")
class Tanh:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"tanh": x.elements})

    cases = (
        Case("float32[2,4] -> float32[2,4]", flops=8, elementwise={"tanh": 8}, bytes_read=32, bytes_written=32),
        Case("bfloat16[N,8] -> bfloat16[N,8]", flops="8*N", bytes_read="16*N", bytes_written="16*N"),
    )
