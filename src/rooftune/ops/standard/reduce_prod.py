"""ReduceProd: the product over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceProd")
class ReduceProd:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work()  # no axes to multiply over: a copy
        return Work(elementwise={"mul": data.elements})

    cases = (
        Case("float32[2,6], int64[1] -> float32[2,1]", flops=12, elementwise={"mul": 12},
             bytes_read=48 + 8, bytes_written=8),
        # the number of elements of a shape
        Case("int64[R] -> int64[]", {"keepdims": 0}, flops="R", bytes_read="8*R", bytes_written=8),
        Case("float32[4], int64[0] -> float32[4]", {"noop_with_empty_axes": 1}, flops=0,
             bytes_read=16, bytes_written=16),
    )
