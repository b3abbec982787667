"""HammingWindow: a raised cosine that stays above zero at its ends."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("HammingWindow", since=17)
class HammingWindow:
    def work(self, size: TensorType, *, y: TensorType) -> Work:
        # 25/46 − 21/46·cos(k·step): angle, cosine, weight, subtract
        n = y.elements
        return Work(elementwise={"mul": 2 * n, "trig": n, "add": n}, format=y.dtype)

    cases = (
        Case("int64[] -> float32[16]", flops=64, elementwise={"mul": 32, "trig": 16, "add": 16},
             bytes_read=8, bytes_written=64),
        Case("int32[] -> float16[W]", {"output_datatype": 10}, flops="4*W", bytes_read=4, bytes_written="2*W"),
    )
