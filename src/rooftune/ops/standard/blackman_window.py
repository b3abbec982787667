"""BlackmanWindow: two cosines that bring the ends of a frame down to zero."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("BlackmanWindow", since=17)
class BlackmanWindow:
    def work(self, size: TensorType, *, y: TensorType) -> Work:
        # 0.42 − 0.5·cos(t) + 0.08·cos(2t) with t = k·step: two angles, two cosines, two weights, two sums
        n = y.elements
        return Work(elementwise={"mul": 4 * n, "trig": 2 * n, "add": 2 * n}, format=y.dtype)

    cases = (
        Case("int32[] -> float32[10]", flops=80, elementwise={"mul": 40, "trig": 20, "add": 20},
             bytes_read=4, bytes_written=40),
        Case("int64[] -> float64[W]", {"output_datatype": 11}, flops="8*W", bytes_read=8, bytes_written="8*W"),
    )
