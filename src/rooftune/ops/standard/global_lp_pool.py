"""GlobalLpPool: the Lp norm of every channel."""

from rooftune.ops.case import Case
from rooftune.ops.lp_norm import lp_norm
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("GlobalLpPool")
class GlobalLpPool:
    p: float = 2

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work(elementwise=lp_norm(x.elements, y.elements, self.p))

    cases = (
        Case("float32[1,2,3,3] -> float32[1,2,1,1]", flops=38, elementwise={"mul": 18, "add": 18, "sqrt": 2},
             bytes_read=72, bytes_written=8),
        # absolute value and add
        Case("float32[N,2,3] -> float32[N,2,1]", {"p": 1}, flops="12*N", bytes_read="24*N", bytes_written="8*N"),
    )
