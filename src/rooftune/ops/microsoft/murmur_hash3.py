"""MurmurHash3: a 32-bit hash of every element.

Strings hash as long as they are, which is data: unknown.
"""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import DType, Unknown


@operator("MurmurHash3", domain="com.microsoft")
class MurmurHash3:
    def work(self, x: TensorType, *, y: TensorType) -> Work | Unknown:
        if x.dtype is DType.STRING:
            return Unknown("hashing strings takes as long as they are, which is data")
        # a block of 4 bytes: three products, a sum, two rotations (two shifts and an or each) and an exclusive or
        blocks = x.elements * x.dtype.bits // 32
        # the end: the length, then three shifts with their exclusive ors and two products
        n = x.elements
        return Work(elementwise={"mul": 3 * blocks + 2 * n, "add": blocks, "logic": 7 * blocks + 7 * n})

    cases = (
        # three elements of one block each
        Case("int32[3] -> uint32[3]", flops=3 * (5 + 1 + 14), elementwise={"mul": 15, "add": 3, "logic": 42},
             bytes_read=12, bytes_written=12),
        # two blocks per element
        Case("float64[2] -> int32[2]", {"positive": 0}, flops=2 * (8 + 2 + 21),
             elementwise={"mul": 16, "add": 4, "logic": 42}, bytes_read=16, bytes_written=8),
        Case("string[2] -> uint32[2]", flops=Unknown("strings")),
    )
