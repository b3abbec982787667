"""RotaryEmbedding: pairs of numbers turned by an angle that grows with the position."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Maybe, product


@operator("RotaryEmbedding", since=23)
class RotaryEmbedding:
    num_heads: int = 0
    rotary_embedding_dim: int = 0

    reads_part = ("cos_cache", "sin_cache")

    def work(
        self,
        x: TensorType,
        cos_cache: TensorType,
        sin_cache: TensorType,
        position_ids: TensorType | None = None,
        *,
        y: TensorType,
    ) -> Work:
        turned = x.elements
        if self.rotary_embedding_dim > 0:
            # only the first numbers of every head are turned
            heads = product(x.shape[:3]) if x.rank == 4 else product(x.shape[:2]) * self._heads()
            turned = heads * self.rotary_embedding_dim
        reads: tuple[Maybe, ...] = (x.bytes, cos_cache.bytes, sin_cache.bytes)
        if position_ids is not None:
            # one row of each table per position
            rows = position_ids.elements * cos_cache.shape[-1]
            reads = (x.bytes, picked_bytes(cos_cache, rows), picked_bytes(sin_cache, rows), position_ids.bytes)
        # each number is x₁·cos ± x₂·sin
        return Work(elementwise={"mul": 2 * turned, "add": turned}, reads=reads, writes=(y.bytes,))

    def _heads(self) -> int:
        if self.num_heads <= 0:
            raise ValueError("num_heads is missing")
        return self.num_heads

    cases = (
        Case("float32[1,2,3,4], float32[1,3,2], float32[1,3,2] -> float32[1,2,3,4]", flops=72,
             elementwise={"mul": 48, "add": 24}, bytes_read=96 + 24 + 24, bytes_written=96),
        # two heads of 4 of which 2 are turned: 8 numbers; 2 rows of the tables of 50
        Case("float32[1,2,8], float32[50,1], float32[50,1], int64[1,2] -> float32[1,2,8]",
             {"num_heads": 2, "rotary_embedding_dim": 2}, flops=24, elementwise={"mul": 16, "add": 8},
             bytes_read=64 + 8 + 8 + 16, bytes_written=64),
        Case("float16[N,4,S,8], float16[N,S,4], float16[N,S,4] -> float16[N,4,S,8]", flops="96*N*S",
             bytes_read="64*N*S + 16*N*S", bytes_written="64*N*S"),
    )
