"""GatherElements: single elements picked along one axis, one per index."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.types import TensorType, Work


@operator("GatherElements", since=11)
class GatherElements:
    reads_part = ("data",)

    def work(self, data: TensorType, indices: TensorType, *, output: TensorType) -> Work:
        # one element per index; more picks than elements find the data in cache
        return Work(reads=(picked_bytes(data, output.elements), indices.bytes))

    cases = (
        Case("float32[3,3], int64[2,3] -> float32[2,3]", bytes_read=24 + 48, bytes_written=24),
        # five picks from two elements: the two are read
        Case("float32[2], int64[5] -> float32[5]", bytes_read=8 + 40, bytes_written=20),
    )
