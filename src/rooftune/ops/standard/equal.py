"""Equal: true where two elements are the same."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("Equal")
class Equal:
    def work(self, a: TensorType, b: TensorType, *, c: TensorType) -> Work:
        return Work(elementwise={"compare": c.elements})

    cases = (
        Case("float32[2,3], float32[2,3] -> bool[2,3]", flops=6, elementwise={"compare": 6},
             bytes_read=48, bytes_written=6),
        # positions against lengths: the mask of a padded batch
        Case("int64[1,S], int64[N,1] -> bool[N,S]", flops="N*S", bytes_read="8*S + 8*N", bytes_written="N*S"),
        # how long the strings are is data
        Case("string[4], string[4] -> bool[4]", flops=4, bytes_read=None, bytes_written=4),
    )
