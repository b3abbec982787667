"""MaxUnpool: pooled elements put back where they came from, zeros elsewhere; nothing is computed."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("MaxUnpool", since=9)
class MaxUnpool:
    def work(
        self, x: TensorType, indices: TensorType, output_shape: TensorType | None = None, *, output: TensorType
    ) -> Work:
        return Work()

    cases = (
        Case("float32[1,1,2,2], int64[1,1,2,2] -> float32[1,1,4,4]", {"kernel_shape": [2, 2], "strides": [2, 2]},
             flops=0, bytes_read=16 + 32, bytes_written=64),
        Case("float16[N,1,2], int64[N,1,2], int64[3] -> float16[N,1,5]", {"kernel_shape": [2], "strides": [2]},
             flops=0, bytes_read="4*N + 16*N + 24", bytes_written="10*N"),
    )
