"""BitShift: integers shifted left or right by as many bits as the other tensor says."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BitShift", since=11)
class BitShift:
    def work(self, x: TensorType, amount: TensorType, *, z: TensorType) -> Work:
        return Work(elementwise={"logic": z.elements})

    cases = (
        Case("uint8[3], uint8[3] -> uint8[3]", {"direction": "LEFT"}, flops=3, elementwise={"logic": 3},
             bytes_read=6, bytes_written=3),
        Case("uint32[N,4], uint32[1] -> uint32[N,4]", {"direction": "RIGHT"}, flops="4*N",
             bytes_read="16*N + 4", bytes_written="16*N"),
    )
