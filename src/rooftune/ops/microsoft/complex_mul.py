"""ComplexMul: products of complex numbers whose parts lie side by side in the last axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ComplexMul", domain="com.microsoft")
class ComplexMul:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        # (a + bi)(c + di): four products and two sums for the two numbers of a result
        return Work(elementwise={"mul": 2 * c.elements, "add": c.elements})

    cases = (
        # three complex numbers
        Case("float32[3,2], float32[3,2] -> float32[3,2]", flops=18, elementwise={"mul": 12, "add": 6},
             bytes_read=48, bytes_written=24),
        Case("float32[N,5,2], float32[1,5,2] -> float32[N,5,2]", flops="30*N", bytes_read="40*N + 40",
             bytes_written="40*N"),
    )
