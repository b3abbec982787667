"""Softmax: exponentiate, then normalise along one axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Softmax", since=1)
class Softmax:
    axis: int = -1

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # max, subtract, exp, sum, divide: five passes over the elements, each counted as one
        n = x.elements
        return Work(elementwise={"compare": n, "add": 2 * n, "exp": n, "div": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=30, bytes_read=24, bytes_written=24),
        Case("float16[N,4] -> float16[N,4]", flops="20*N", bytes_read="8*N", bytes_written="8*N"),
    )
