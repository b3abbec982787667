"""Swish: the element times the sigmoid of alpha times the element."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Swish", since=24)
class Swish:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # alpha · x, then a sigmoid (negate, exp, add, divide), then times x
        n = x.elements
        return Work(elementwise={"mul": 2 * n, "add": 2 * n, "exp": n, "div": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=36, elementwise={"mul": 12, "add": 12, "exp": 6, "div": 6},
             bytes_read=24, bytes_written=24),
        Case("float16[N,4] -> float16[N,4]", {"alpha": 1.702}, flops="24*N", bytes_read="8*N", bytes_written="8*N"),
    )
