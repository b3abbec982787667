"""DepthToSpace: blocks of channels laid out as patches of pixels; every element moves once."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("DepthToSpace")
class DepthToSpace:
    def work(self, input: TensorType, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("float32[1,8,2,3] -> float32[1,2,4,6]", {"blocksize": 2}, bytes_read=192, bytes_written=192),
        Case("uint8[N,9,1,1] -> uint8[N,1,3,3]", {"blocksize": 3, "mode": "CRD"},
             bytes_read="9*N", bytes_written="9*N"),
    )
