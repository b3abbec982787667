"""Clip: every element held between a lower and an upper bound, each of which may be absent."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Clip")
class Clip:
    min: float | None = None  # the bounds were attributes before opset 11
    max: float | None = None

    def work(
        self, x: TensorType, low: TensorType | None = None, high: TensorType | None = None, *, y: TensorType
    ) -> Work:
        # one comparison for every bound that is given
        bounds = [self.min if low is None else low, self.max if high is None else high]
        return Work(elementwise={"compare": sum(bound is not None for bound in bounds) * x.elements})

    cases = (
        # ReLU6 as exporters write it; the bounds are scalars that are read too
        Case("float32[2,3], float32[], float32[] -> float32[2,3]", flops=12, elementwise={"compare": 12},
             bytes_read=24 + 4 + 4, bytes_written=24),
        Case("float32[N,4], -, float32[] -> float32[N,4]", flops="4*N", bytes_read="16*N + 4", bytes_written="16*N"),
        # the form of opset 6
        Case("float32[5] -> float32[5]", {"min": 0.0, "max": 6.0}, flops=10, bytes_read=20, bytes_written=20),
        Case("int8[5] -> int8[5]", flops=0, bytes_read=5, bytes_written=5),
    )
