"""GatherND: slices picked by tuples of indices, as it was before ONNX had it."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.standard.gather_nd import GatherND as StandardGatherND


@operator("GatherND", domain="com.microsoft")
class GatherND(StandardGatherND):
    cases = (
        # three tuples of one index: three rows
        Case("float32[8,4], int64[3,1] -> float32[3,4]", bytes_read=48 + 24, bytes_written=48),
        # more picks than the data holds
        Case("float32[2,2], int32[5,2] -> float32[5]", bytes_read=16 + 40, bytes_written=20),
    )
