"""TopK: the largest or smallest elements along an axis, in order, and where they were."""

from rooftune.ops.case import Case
from rooftune.ops.comparison import to_insert
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("TopK")
class TopK:
    axis: int = -1

    def work(self, x: TensorType, k: TensorType | None = None, *, values: TensorType, indices: TensorType) -> Work:
        # counted: one pass that keeps the best k in order and places every element among them by bisection,
        # ⌈log2(k + 1)⌉ comparisons, whether k is an input or, before opset 10, an attribute
        return Work(elementwise={"compare": x.elements * to_insert(values.shape[self.axis])})

    cases = (
        # a place among 3 is found with 2 comparisons
        Case("float32[2,8], int64[1] -> float32[2,3], int64[2,3]", flops=32, elementwise={"compare": 32},
             bytes_read=64 + 8, bytes_written=24 + 48),
        # k = 1 is an ArgMax
        Case("float32[N,1000], int64[1] -> float32[N,1], int64[N,1]", flops="1000*N", bytes_read="4000*N + 8",
             bytes_written="4*N + 8*N"),
        # opset 1: k as an attribute, along the first axis: 3 comparisons for 4 kept
        Case("float32[5,2] -> float32[4,2], int64[4,2]", {"axis": 0, "k": 4}, flops=30, bytes_read=40,
             bytes_written=32 + 64),
    )
