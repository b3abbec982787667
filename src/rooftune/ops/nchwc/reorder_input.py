"""ReorderInput: a plain tensor copied into the blocked layout, its channels padded to the block."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReorderInput", domain="com.microsoft.nchwc")
class ReorderInput:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        return Work()

    cases = (
        # 12 channels become two blocks of 8
        Case("float32[1,12,2,2] -> float32[1,16,2,2]", bytes_read=192, bytes_written=256),
        Case("float32[N,4,4,16] -> float32[N,16,4,4]", {"channels_last": 1}, bytes_read="1024*N",
             bytes_written="1024*N"),
    )
