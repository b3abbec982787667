"""Elu: the element where positive, alpha · (eˣ − 1) elsewhere."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Elu")
class Elu:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # both branches are computed, then one is selected: exp, minus one, times alpha, select
        n = x.elements
        return Work(elementwise={"exp": n, "add": n, "mul": n, "compare": n})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=24, elementwise={"exp": 6, "add": 6, "mul": 6, "compare": 6},
             bytes_read=24, bytes_written=24),
        Case("float16[N,2] -> float16[N,2]", {"alpha": 0.5}, flops="8*N", bytes_read="4*N", bytes_written="4*N"),
    )
