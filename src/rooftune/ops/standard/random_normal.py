"""RandomNormal: a tensor of normally distributed numbers."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("RandomNormal")
class RandomNormal:
    def work(self, *, y: TensorType) -> Work:
        # a standard draw, times scale, plus mean
        n = y.elements
        return Work(elementwise={"random": n, "mul": n, "add": n})

    cases = (
        Case("-> float32[2,3]", {"shape": [2, 3]}, flops=18, elementwise={"random": 6, "mul": 6, "add": 6},
             bytes_read=0, bytes_written=24),
        Case("-> float64[5]", {"shape": [5], "dtype": 11}, flops=15, bytes_read=0, bytes_written=40),
    )
