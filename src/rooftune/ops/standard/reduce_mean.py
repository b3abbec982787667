"""ReduceMean: the average over some axes, or over all."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("ReduceMean")
class ReduceMean:
    noop_with_empty_axes: int = 0

    def work(self, data: TensorType, axes: TensorType | None = None, *, reduced: TensorType) -> Work:
        if self.noop_with_empty_axes and (axes is None or axes.shape == (0,)):
            return Work()  # no axes to average over: a copy
        # add up, then one division for every average
        return Work(elementwise={"add": data.elements, "div": reduced.elements})

    cases = (
        # global average pooling as some exporters write it
        Case("float32[1,8,7,7], int64[2] -> float32[1,8,1,1]", flops=392 + 8, elementwise={"add": 392, "div": 8},
             bytes_read=1568 + 16, bytes_written=32),
        Case("float16[N,10] -> float16[N,1]", {"axes": [-1]}, flops="11*N", bytes_read="20*N", bytes_written="2*N"),
        Case("float32[3], int64[0] -> float32[3]", {"noop_with_empty_axes": 1}, flops=0,
             bytes_read=12, bytes_written=12),
    )
