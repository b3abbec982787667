"""ConstantOfShape: a tensor of the asked shape filled with one value; only the output moves."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ConstantOfShape", since=9)
class ConstantOfShape:
    def work(self, input: TensorType, *, output: TensorType) -> Work:
        return Work()

    cases = (
        Case("int64[3] -> float32[4,3,2]", bytes_read=24, bytes_written=96),
        # asked for a zero-size tensor
        Case("int64[1] -> int32[0]", bytes_read=8, bytes_written=0),
        # no dimension asked for: a scalar
        Case("int64[0] -> float32[]", bytes_read=0, bytes_written=4),
    )
