"""DynamicQuantizeLinear: a tensor quantised by its own range."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.quantisation import quantise
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work


@operator("DynamicQuantizeLinear", since=11)
class DynamicQuantizeLinear:
    def work(self, x: TensorType, *, y: TensorType, y_scale: TensorType, y_zero_point: TensorType) -> Work:
        n = x.elements
        return Work(
            elementwise=tally(
                {"compare": 2 * n},  # smallest and largest element
                # once: zero into the range (2), range, scale; min / scale, subtract, hold in range (2), round, convert
                {"compare": 4, "add": 2, "div": 2, "round": 1, "convert": 1},
                quantise(n, y.dtype, zero_point=True),
            )
        )

    cases = (
        Case("float32[2,3] -> uint8[2,3], float32[], uint8[]", flops=12 + 10 + 36,
             elementwise={"compare": 12 + 4 + 12, "add": 6 + 2, "div": 6 + 2, "round": 7, "convert": 7},
             bytes_read=24, bytes_written=6 + 4 + 1),
        # per element two comparisons for the range, six operations to quantise
        Case("float32[N,8] -> uint8[N,8], float32[], uint8[]", flops="64*N + 10", bytes_read="32*N",
             bytes_written="8*N + 5"),
    )
