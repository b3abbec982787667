"""AffineGrid: the positions that an affine map gives to the points of a regular grid."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("AffineGrid", since=20)
class AffineGrid:
    def work(self, theta: TensorType, size: TensorType, *, grid: TensorType) -> Work:
        # the coordinates of each axis are laid out once: a step times the index, plus an offset
        coordinates = sum(grid.shape[1:-1])
        # each number of the grid is a row of theta times (coordinates…, 1)
        return Work(macs=grid.elements * theta.shape[-1], elementwise={"mul": coordinates, "add": coordinates})

    cases = (
        Case("float32[1,2,3], int64[4] -> float32[1,2,2,2]", macs=24, flops=48 + 8, elementwise={"mul": 4, "add": 4},
             bytes_read=24 + 32, bytes_written=32),
        # 2·24 points × 3 numbers × 4 products
        Case("float32[2,3,4], int64[5] -> float32[2,2,3,4,3]", macs=576, flops=1152 + 18,
             bytes_read=96 + 40, bytes_written=576),
        Case("float16[N,2,3], int64[4] -> float16[N,4,5,2]", macs="120*N", flops="240*N + 18",
             bytes_read="12*N + 32", bytes_written="80*N"),
    )
