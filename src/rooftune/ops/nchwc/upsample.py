"""Upsample in blocked layout: pixels repeated, or interpolated between four neighbours."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.resize import Resize
from rooftune.ops.types import TensorType, Work


@operator("Upsample", domain="com.microsoft.nchwc")
class Upsample:
    mode: str = "nearest"

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Resize(mode=self.mode).work(x, y=y)

    cases = (
        Case("float32[1,8,2,2] -> float32[1,8,4,4]", {"scales": [1, 1, 2, 2]}, bytes_read=128, bytes_written=512),
        # 128 results, each four products and four sums
        Case("float32[1,8,2,2] -> float32[1,8,4,4]", {"scales": [1, 1, 2, 2], "mode": "linear"}, flops=1024,
             elementwise={"mul": 512, "add": 512}, bytes_read=128, bytes_written=512),
    )
