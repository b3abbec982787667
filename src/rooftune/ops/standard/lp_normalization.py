"""LpNormalization: every element over the Lp norm along one axis."""

from rooftune.ops.case import Case
from rooftune.ops.lp_norm import lp_norm
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("LpNormalization")
class LpNormalization:
    axis: int = -1
    p: int = 2

    def work(self, x: TensorType, *, output: TensorType) -> Work:
        lines = product(size for axis, size in enumerate(x.shape) if axis != self.axis % x.rank)
        return Work(elementwise=tally(lp_norm(x.elements, lines, self.p), {"div": x.elements}))

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=20, elementwise={"mul": 6, "add": 6, "sqrt": 2, "div": 6},
             bytes_read=24, bytes_written=24),
        # absolute value, sum, divide
        Case("float32[N,4] -> float32[N,4]", {"axis": 0, "p": 1}, flops="12*N", bytes_read="16*N",
             bytes_written="16*N"),
    )
