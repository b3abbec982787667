"""Size: the number of elements of a tensor; the tensor itself is not read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Size")
class Size:
    reads_part = ("data",)

    def work(self, data: TensorType, *, size: TensorType) -> Work:
        return Work(reads=(0,))

    cases = (
        Case("float32[2,3,4] -> int64[]", bytes_read=0, bytes_written=8),
        Case("string[N] -> int64[]", bytes_read=0, bytes_written=8),
    )
