"""Pow: the elements of one tensor to the power of another's."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Pow")
class Pow:
    def work(self, x: TensorType, exponent: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"pow": y.elements})

    cases = (
        Case("float32[2,2], float32[2,2] -> float32[2,2]", flops=4, elementwise={"pow": 4},
             bytes_read=32, bytes_written=16),
        # the exponent may be of another type than the base
        Case("float32[N,3], int64[] -> float32[N,3]", flops="3*N", bytes_read="12*N + 8", bytes_written="12*N"),
    )
