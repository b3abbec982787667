"""RandomUniformLike: uniformly distributed numbers in the shape of another tensor."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("RandomUniformLike")
class RandomUniformLike:
    reads_part = ("x",)

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # a draw between 0 and 1, times the width, plus the lower end; the elements of the input stay unread
        n = y.elements
        return Work(elementwise={"random": n, "mul": n, "add": n}, reads=(0,), format=y.dtype)

    cases = (
        Case("float32[5] -> float32[5]", flops=15, elementwise={"random": 5, "mul": 5, "add": 5},
             bytes_read=0, bytes_written=20),
        Case("int32[N,2] -> float64[N,2]", {"dtype": 11}, flops="6*N", bytes_read=0, bytes_written="16*N"),
    )
