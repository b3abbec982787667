"""HardSigmoid: alpha · x + beta, held between 0 and 1."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("HardSigmoid")
class HardSigmoid:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # times alpha, plus beta, min with one, max with zero
        n = x.elements
        return Work(elementwise={"mul": n, "add": n, "compare": 2 * n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=24, elementwise={"mul": 6, "add": 6, "compare": 12},
             bytes_read=24, bytes_written=24),
        Case("float16[N,2] -> float16[N,2]", {"alpha": 0.5, "beta": 0.6}, flops="8*N",
             bytes_read="4*N", bytes_written="4*N"),
    )
