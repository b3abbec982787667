"""Col2Im: columns of blocks added back into an image."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Col2Im", since=18)
class Col2Im:
    def work(self, x: TensorType, image_shape: TensorType, block_shape: TensorType, *, output: TensorType) -> Work:
        # every element of every block is added where it belongs; those on padding count too
        return Work(elementwise={"add": x.elements})

    cases = (
        # a 3×3 image has 4 blocks of 2×2: 16 additions
        Case("float32[1,4,4], int64[2], int64[2] -> float32[1,1,3,3]", flops=16, elementwise={"add": 16},
             bytes_read=64 + 16 + 16, bytes_written=36),
        Case("float16[N,12,6], int64[2], int64[2] -> float16[N,3,4,6]", {"strides": [2, 2]}, flops="72*N",
             bytes_read="144*N + 32", bytes_written="144*N"),
    )
