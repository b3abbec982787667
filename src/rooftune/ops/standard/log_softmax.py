"""LogSoftmax: the logarithm of a Softmax along one axis, without forming it."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("LogSoftmax")
class LogSoftmax:
    axis: int = -1

    def work(self, x: TensorType, *, y: TensorType) -> Work:
        # x − max − log Σ exp(x − max): max, subtract, exp, sum, subtract for every element, one log for every line
        n = x.elements
        lines = product(size for position, size in enumerate(x.shape) if position != self.axis % x.rank)
        return Work(elementwise={"compare": n, "add": 3 * n, "exp": n, "log": lines})

    cases = (
        Case("float32[2,3] -> float32[2,3]", flops=32, elementwise={"compare": 6, "add": 18, "exp": 6, "log": 2},
             bytes_read=24, bytes_written=24),
        # along the middle axis there are 2·4 lines
        Case("float32[2,3,4] -> float32[2,3,4]", {"axis": 1}, flops=5 * 24 + 8, bytes_read=96, bytes_written=96),
        Case("float16[N,10] -> float16[N,10]", flops="51*N", bytes_read="20*N", bytes_written="20*N"),
    )
