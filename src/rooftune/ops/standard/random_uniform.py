"""RandomUniform: a tensor of uniformly distributed numbers."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("RandomUniform")
class RandomUniform:
    def work(self, *, y: TensorType) -> Work:
        # a draw between 0 and 1, times the width of the interval, plus its lower end
        n = y.elements
        return Work(elementwise={"random": n, "mul": n, "add": n})

    cases = (
        Case("-> float32[4]", {"shape": [4]}, flops=12, elementwise={"random": 4, "mul": 4, "add": 4},
             bytes_read=0, bytes_written=16),
        Case("-> float16[3,0]", {"shape": [3, 0], "dtype": 10}, flops=0, bytes_read=0, bytes_written=0),
    )
