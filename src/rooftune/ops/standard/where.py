"""Where: elements of one tensor or of another, chosen by a condition; all three broadcast."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Where", since=9)
class Where:
    def work(self, condition: TensorType, x: TensorType, y: TensorType, *, output: TensorType) -> Work:
        return Work(elementwise={"compare": output.elements}, format=x.dtype)

    cases = (
        Case("bool[2,3], float32[2,3], float32[2,3] -> float32[2,3]", flops=6, elementwise={"compare": 6},
             bytes_read=6 + 24 + 24, bytes_written=24),
        # none of the three has the shape of the result
        Case("bool[2,1], float32[1,3], float32[] -> float32[2,3]", flops=6, bytes_read=2 + 12 + 4, bytes_written=24),
        Case("bool[1,S], float16[N,S], float16[] -> float16[N,S]", flops="N*S", bytes_read="S + 2*N*S + 2",
             bytes_written="2*N*S"),
    )
