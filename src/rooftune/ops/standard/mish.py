"""Mish: x · tanh(ln(1 + eˣ))."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Mish", since=18)
class Mish:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # exp, add one, log, tanh, times x
        n = x.elements
        return Work(elementwise={"exp": n, "add": n, "log": n, "tanh": n, "mul": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=30,
             elementwise={"exp": 6, "add": 6, "log": 6, "tanh": 6, "mul": 6}, bytes_read=24, bytes_written=24),
        Case("float16[N,8,8] -> float16[N,8,8]", flops="320*N", bytes_read="128*N", bytes_written="128*N"),
    )
