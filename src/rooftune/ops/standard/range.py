"""Range: numbers from a start towards a limit in equal steps."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Range", since=11)
class Range:
    def work(self, start: TensorType, limit: TensorType, delta: TensorType, *, y: TensorType) -> Work:
        # start + i · delta
        return Work(elementwise={"mul": y.elements, "add": y.elements})

    cases = (
        Case("float32[], float32[], float32[] -> float32[5]", flops=10, elementwise={"mul": 5, "add": 5},
             bytes_read=12, bytes_written=20),
        Case("int64[], int64[], int64[] -> int64[S]", flops="2*S", bytes_read=24, bytes_written="8*S"),
    )
