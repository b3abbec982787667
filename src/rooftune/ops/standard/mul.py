"""Mul: the product of two tensors, broadcast to each other."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Mul")
class Mul:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"mul": c.elements})

    cases = (
        Case("float32[2,3], float32[2,3] -> float32[2,3]", flops=6, elementwise={"mul": 6},
             bytes_read=48, bytes_written=24),
        # a gate per channel, as squeeze-and-excitation has it
        Case("float32[1,4,3,3], float32[1,4,1,1] -> float32[1,4,3,3]", flops=36,
             bytes_read=144 + 16, bytes_written=144),
        Case("float16[N,2], float16[] -> float16[N,2]", flops="2*N", bytes_read="4*N + 2", bytes_written="4*N"),
    )
