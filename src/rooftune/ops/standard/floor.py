"""Floor: down to the next whole number."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Floor")
class Floor:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise={"round": x.elements})

    cases = (
        Case("float32[4,4] -> float32[4,4]", flops=16, elementwise={"round": 16}, bytes_read=64, bytes_written=64),
        Case("bfloat16[N,N] -> bfloat16[N,N]", flops="N**2", bytes_read="2*N**2", bytes_written="2*N**2"),
    )
