"""ReorderOutput: a blocked tensor copied back into the plain layout, without the padded channels."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReorderOutput", domain="com.microsoft.nchwc")
class ReorderOutput:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # the padded channels of the last block lie in the lines that are read, so all of it counts
        return Work()

    cases = (
        Case("float32[1,16,2,2] -> float32[1,12,2,2]", {"channels": 12}, bytes_read=256, bytes_written=192),
        Case("float32[N,16,4,4] -> float32[N,4,4,16]", {"channels": 16, "channels_last": 1}, bytes_read="1024*N",
             bytes_written="1024*N"),
    )
