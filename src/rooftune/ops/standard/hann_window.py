"""HannWindow: a raised cosine that starts at zero."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("HannWindow", since=17)
class HannWindow:
    def work(self, size: TensorType, *, y: TensorType) -> Work:
        # 0.5 − 0.5·cos(k·step): angle, cosine, weight, subtract
        n = y.elements
        return Work(elementwise={"mul": 2 * n, "trig": n, "add": n}, format=y.dtype)

    cases = (
        Case("int32[] -> float32[10]", flops=40, elementwise={"mul": 20, "trig": 10, "add": 10},
             bytes_read=4, bytes_written=40),
        Case("int64[] -> float64[W]", {"output_datatype": 11, "periodic": 0}, flops="4*W",
             bytes_read=8, bytes_written="8*W"),
    )
