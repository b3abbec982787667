"""Resize: a tensor at another size, its values copied or interpolated."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.interpolation import TAPS_PER_AXIS, weighted_sum
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, Dim, ceil_div, larger, product


@operator("Resize", since=10)
class Resize:
    antialias: int = 0
    axes: Sequence[int] = ()
    coordinate_transformation_mode: str = "half_pixel"
    mode: str = "nearest"

    def work(
        self,
        x: TensorType,
        roi: TensorType | None = None,
        scales: TensorType | None = None,
        sizes: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        axes = self._interpolated(x, y)
        if self.mode == "nearest" or not axes:
            return Work()  # a move
        # 2 neighbours per interpolated axis for linear, 4 for cubic; the weights are laid out once per axis,
        # which is a sum of sizes beside a product, and are left out
        taps = product(self._taps(x.shape[axis], y.shape[axis]) for axis in axes)
        return Work(elementwise=weighted_sum(y.elements, taps))

    def _interpolated(self, x: TensorType, y: TensorType) -> list[int]:
        named = [axis % x.rank for axis in self.axes] or list(range(x.rank))
        if self.coordinate_transformation_mode == "tf_crop_and_resize" and self.axes:
            return named  # a crop may keep the size and still fall between the pixels
        return [axis for axis in named if x.shape[axis] != y.shape[axis]]

    def _taps(self, size: Dim, out: Dim) -> Count:
        taps = TAPS_PER_AXIS[self.mode]
        if not self.antialias:
            return taps
        # a shrinking filter is as many times wider as the axis gets shorter
        return 2 * larger(taps // 2, ceil_div(taps // 2 * size, out))

    cases = (
        Case("float32[1,1,2,2], -, float32[4] -> float32[1,1,4,4]", flops=0, bytes_read=16 + 16, bytes_written=64),
        # 16 values of 2·2 neighbours
        Case("float32[1,1,2,2], -, float32[4] -> float32[1,1,4,4]", {"mode": "linear"}, flops=128,
             elementwise={"mul": 64, "add": 64}, bytes_read=16 + 16, bytes_written=64),
        # 128 values of 4·4 neighbours, sizes given
        Case("float32[1,2,4,4], -, -, int64[4] -> float32[1,2,8,8]", {"mode": "cubic"}, flops=128 * 16 * 2,
             bytes_read=128 + 32, bytes_written=512),
        # a quarter of the size: the filter is 8 wide along both axes
        Case("float32[1,1,8,8], -, float32[4] -> float32[1,1,2,2]", {"mode": "linear", "antialias": 1},
             flops=4 * 64 * 2, bytes_read=256 + 16, bytes_written=16),
        # only the open last axis is interpolated
        Case("float16[N,3,L], -, float32[3] -> float16[N,3,M]", {"mode": "linear"},
             flops="12*N*M", bytes_read="6*N*L + 12", bytes_written="6*N*M"),
    )
