"""SwiGLU: a value multiplied by the Swish of its gate."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("SwiGLU", since=28)
class SwiGLU:
    def work(self, a: TensorType, b: TensorType, *, y: TensorType) -> Work:
        # Swish of the gate: two products around a sigmoid (negate, exp, add, divide); then times the value
        n = a.elements
        return Work(elementwise={"mul": 3 * n, "add": 2 * n, "exp": n, "div": n})

    cases = (
        Case("float32[2,3], float32[2,3] -> float32[2,3]", flops=42,
             elementwise={"mul": 18, "add": 12, "exp": 6, "div": 6}, bytes_read=48, bytes_written=24),
        Case("bfloat16[N,8], bfloat16[N,8] -> bfloat16[N,8]", flops="56*N", bytes_read="32*N", bytes_written="16*N"),
    )
