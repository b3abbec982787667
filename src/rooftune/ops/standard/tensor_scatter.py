"""TensorScatter: an update written into a cache in place; the rest of the cache stays where it is.

The operator exists so that past and present share one memory; engines that cannot share copy the cache as well.
"""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.types import TensorType, Work


@operator("TensorScatter", since=24)
class TensorScatter:
    reads_part = ("past_cache",)
    writes_part = ("present_cache",)

    def work(
        self,
        past_cache: TensorType,
        update: TensorType,
        write_indices: TensorType | None = None,
        *,
        present_cache: TensorType,
    ) -> Work:
        return Work(
            reads=(0, update.bytes, 0 if write_indices is None else write_indices.bytes), writes=(update.bytes,)
        )

    cases = (
        # one token of 8 numbers enters a cache of 4 positions, for 2 sequences
        Case("float32[2,4,8], float32[2,1,8], int64[2] -> float32[2,4,8]", bytes_read=64 + 16, bytes_written=64),
        Case("float16[1,T,8], float16[1,3,8] -> float16[1,T,8]", {"mode": "circular"}, bytes_read=48, bytes_written=48),
    )
