"""GatherND: slices picked by tuples of indices; only the picked slices are read."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.types import TensorType, Work


@operator("GatherND", since=11)
class GatherND:
    batch_dims: int = 0

    reads_part = ("data",)

    def work(self, data: TensorType, indices: TensorType, *, output: TensorType) -> Work:
        # one slice per tuple; more picks than the data holds find it in cache
        return Work(reads=(picked_bytes(data, output.elements), indices.bytes))

    cases = (
        # two tuples of two indices: two elements
        Case("int32[2,2], int64[2,2] -> int32[2]", bytes_read=8 + 32, bytes_written=8),
        # one index per batch entry: a slice of three
        Case("float32[2,4,3], int64[2,1] -> float32[2,3]", {"batch_dims": 1}, bytes_read=24 + 16, bytes_written=24),
    )
