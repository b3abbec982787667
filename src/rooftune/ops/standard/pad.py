"""Pad: a border around the data; the data is copied once and the border filled.

Negative pads cut instead; the cut part is counted as read.
"""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Pad")
class Pad:
    def work(
        self,
        data: TensorType,
        pads: TensorType | None = None,
        constant_value: TensorType | None = None,
        axes: TensorType | None = None,
        *,
        output: TensorType,
    ) -> Work:
        return Work()

    cases = (
        # opset 11: the pads are an input
        Case("float32[1,3,4,5], int64[8], float32[] -> float32[1,3,6,7]", bytes_read=240 + 64 + 4, bytes_written=504),
        # opset 2: the pads are an attribute
        Case("float32[3,2] -> float32[3,4]", {"pads": [0, 2, 0, 0]}, bytes_read=24, bytes_written=48),
        Case("int8[N,4], int64[2], -, int64[1] -> int8[N,6]", bytes_read="4*N + 24", bytes_written="6*N"),
    )
