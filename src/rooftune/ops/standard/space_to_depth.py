"""SpaceToDepth: patches of pixels laid out as blocks of channels; every element moves once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("SpaceToDepth")
class SpaceToDepth:
    def work(self, input: TensorType, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[1,2,4,6] -> float32[1,8,2,3]", {"blocksize": 2}, bytes_read=192, bytes_written=192),
        Case("int8[N,1,3,3] -> int8[N,9,1,1]", {"blocksize": 3}, bytes_read="9*N", bytes_written="9*N"),
    )
