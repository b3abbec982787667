"""Pad: a border around the data, with the pads as an input, as it was before ONNX had it."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.pad import Pad as StandardPad


@operator("Pad", domain="com.microsoft")
class Pad(StandardPad):
    cases = (
        Case("float32[2,3], int64[4], float32[1] -> float32[4,5]", bytes_read=24 + 32 + 4, bytes_written=80),
        Case("float16[N,4], int64[4] -> float16[N,6]", {"mode": "reflect"},
             bytes_read="8*N + 32", bytes_written="12*N"),
    )
