"""RandomNormalLike: normally distributed numbers in the shape of another tensor."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("RandomNormalLike")
class RandomNormalLike:
    reads_part = ("x",)

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # a standard draw, times scale, plus mean; the input lends its shape, its elements stay unread
        n = y.elements
        return Work(elementwise={"random": n, "mul": n, "add": n}, reads=(0,), format=y.dtype)

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=18, elementwise={"random": 6, "mul": 6, "add": 6},
             bytes_read=0, bytes_written=24),
        Case("int64[N,4] -> float16[N,4]", {"dtype": 10}, flops="12*N", bytes_read=0, bytes_written="8*N"),
    )
