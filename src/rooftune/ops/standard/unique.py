"""Unique: every element or slice once."""

from rooftune.ops.case import Case
from rooftune.ops.comparison import to_sort
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product


@operator("Unique", since=11)
class Unique:
    axis: int | None = None

    def work(
        self,
        x: TensorType,
        *,
        y: TensorType,
        indices: TensorType | None = None,
        inverse_indices: TensorType | None = None,
        counts: TensorType | None = None,
    ) -> Work:
        # an upper bound: a merge sort, then every neighbour compared; how soon two slices differ is data
        count = x.elements if self.axis is None else x.shape[self.axis]
        slice_elements = 1 if self.axis is None else product(
            size for i, size in enumerate(x.shape) if i != self.axis % x.rank
        )
        return Work(elementwise={"compare": (to_sort(count) + count) * slice_elements})

    cases = (
        # six elements: 6 · 3 to sort, 6 to drop doubles; how many remain is data
        Case("int64[6] -> int64[U], int64[U], int64[6], int64[U]", flops=24, elementwise={"compare": 24},
             bytes_read=48, bytes_written="24*U + 48"),
        # four rows of three: (4 · 2 + 4) comparisons of 3 elements
        Case("float32[4,3] -> float32[U,3]", {"axis": 0}, flops=36, bytes_read=48, bytes_written="12*U"),
    )
