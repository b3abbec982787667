"""Xor: true where exactly one operand is true."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Xor")
class Xor:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"logic": c.elements})

    cases = (
        Case("bool[6], bool[6] -> bool[6]", flops=6, elementwise={"logic": 6}, bytes_read=12, bytes_written=6),
        Case("bool[4,1], bool[1,4] -> bool[4,4]", flops=16, bytes_read=8, bytes_written=16),
    )
