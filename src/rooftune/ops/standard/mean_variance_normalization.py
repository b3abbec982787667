"""MeanVarianceNormalization: zero mean and unit variance over some axes."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("MeanVarianceNormalization", since=9)
class MeanVarianceNormalization:
    axes: Sequence[int] = (0, 2, 3)

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        n = x.elements
        reduced = {axis % x.rank for axis in self.axes}
        groups = product(size for axis, size in enumerate(x.shape) if axis not in reduced)
        # as its definition has it: the variance is the mean of the squares minus the square of the mean
        return Work(
            elementwise={
                "add": 3 * n + 2 * groups,  # sum, sum of squares, centre; per group subtract, plus ε
                "mul": n + groups,  # square the elements, square the means
                "div": 2 * groups + n,
                "sqrt": groups,
            }
        )

    cases = (
        # 24 elements in 3 channels
        Case("float32[2,3,2,2] -> float32[2,3,2,2]", flops=138,
             elementwise={"add": 72 + 6, "mul": 24 + 3, "div": 6 + 24, "sqrt": 3}, bytes_read=96, bytes_written=96),
        # over the last axis alone: 5 operations per element, 6 for each of N groups
        Case("float32[N,4] -> float32[N,4]", {"axes": [-1]}, flops="20*N + 6*N", bytes_read="16*N",
             bytes_written="16*N"),
    )
