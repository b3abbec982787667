"""NonZero: the coordinates of the elements that are not zero; their number is data."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("NonZero", since=9)
class NonZero:
    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # every element is compared with zero; of the output one column per hit is written
        return Work(elementwise={"compare": x.elements})

    cases = (
        # three hits in a matrix: two coordinates of 8 bytes each
        Case("float32[2,3] -> int64[2,3]", flops=6, elementwise={"compare": 6}, bytes_read=24, bytes_written=48),
        Case("bool[4,4] -> int64[2,K]", flops=16, bytes_read=16, bytes_written="16*K"),
    )
