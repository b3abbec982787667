"""Det: determinants of square matrices, by elimination."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import larger


@operator("Det", since=11)
class Det:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        count, m = y.elements, x.shape[-1]
        # step k of the elimination searches m − k rows for the pivot, divides as many and updates (m − k)² elements
        pairs = m * (m - 1) // 2
        updates = m * (m - 1) * (2 * m - 1) // 6
        # the determinant is the product of the diagonal
        diagonal = larger(0, m - 1)
        return Work(
            macs=count * updates,
            elementwise={"compare": count * pairs, "div": count * pairs, "mul": count * diagonal},
        )

    cases = (
        # 2² + 1² updates, 2 + 1 searched and divided, two products, in each of the two matrices
        Case("float32[2,3,3] -> float32[2]", macs=10, flops=20 + 16, elementwise={"compare": 6, "div": 6, "mul": 4},
             bytes_read=72, bytes_written=8),
        Case("float64[N,2,2] -> float64[N]", macs="N", flops="5*N", bytes_read="32*N", bytes_written="8*N"),
        # the determinant of an empty matrix is one
        Case("float32[0,0] -> float32[]", flops=0, bytes_read=0, bytes_written=4),
    )
