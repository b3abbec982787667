"""LRN: every element over a power of the squares of its neighbours in the channel axis."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("LRN")
class LRN:
    size: int

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        n = x.elements
        # squares once; `size` of them added per element, those beyond the first and last channel too;
        # times alpha / size, plus bias, power, divide
        return Work(elementwise={"mul": 2 * n, "add": n * self.size + n, "pow": n, "div": n})

    cases = (
        Case("float32[1,3,2,2] -> float32[1,3,2,2]", {"size": 5}, flops=120,
             elementwise={"mul": 24, "add": 60 + 12, "pow": 12, "div": 12}, bytes_read=48, bytes_written=48),
        Case("float32[N,8,2] -> float32[N,8,2]", {"size": 3}, flops="16*N*8", bytes_read="64*N", bytes_written="64*N"),
    )
