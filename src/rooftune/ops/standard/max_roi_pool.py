"""MaxRoiPool: the largest elements of each region of interest, cut into bins."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("MaxRoiPool")
class MaxRoiPool:
    def work(self, x: TensorType, rois: TensorType, *, y: TensorType) -> Work | Unknown:
        # one comparison per element of each region: between none and the whole image, so a bound would say nothing
        return Unknown("the sizes of the regions are data")

    cases = (
        Case("float32[1,2,8,8], float32[3,5] -> float32[3,2,2,2]", {"pooled_shape": [2, 2]},
             flops=Unknown("the sizes of the regions are data")),
        Case("float16[N,8,H,W], float16[R,5] -> float16[R,8,7,7]", {"pooled_shape": [7, 7]},
             flops=Unknown("the sizes of the regions are data")),
    )
