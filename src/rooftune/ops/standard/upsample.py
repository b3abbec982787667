"""Upsample: a tensor at a larger size, its values copied or interpolated."""

from rooftune.ops.case import Case
from rooftune.ops.interpolation import TAPS_PER_AXIS, weighted_sum
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Upsample")
class Upsample:
    mode: str = "nearest"

    def work(self, x: TensorType, scales: TensorType | None = None, *, y: TensorType) -> Work:
        growing = sum(1 for size, out in zip(x.shape, y.shape, strict=True) if size != out)
        if self.mode == "nearest" or growing == 0:
            return Work()  # a move
        # two neighbours along every axis that grows
        return Work(elementwise=weighted_sum(y.elements, TAPS_PER_AXIS[self.mode] ** growing))

    cases = (
        Case("float32[1,1,2,2], float32[4] -> float32[1,1,4,4]", flops=0, bytes_read=16 + 16, bytes_written=64),
        # opset 7 has the scales as an attribute: 16 values of 4 neighbours
        Case("float32[1,1,2,2] -> float32[1,1,4,4]", {"mode": "linear", "scales": [1.0, 1.0, 2.0, 2.0]}, flops=128,
             elementwise={"mul": 64, "add": 64}, bytes_read=16, bytes_written=64),
        Case("float32[N,3,4], float32[3] -> float32[N,3,8]", {"mode": "linear"}, flops="96*N",
             bytes_read="48*N + 12", bytes_written="96*N"),
    )
