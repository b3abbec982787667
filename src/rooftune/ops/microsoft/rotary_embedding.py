"""RotaryEmbedding: pairs of numbers turned by an angle that depends on their position."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.scaled_dot_product import rotary
from rooftune.ops.types import TensorType, Work


@operator("RotaryEmbedding", domain="com.microsoft")
class RotaryEmbedding:
    num_heads: int = 0
    rotary_embedding_dim: int = 0

    reads_part = ("cos_cache", "sin_cache")

    def work(
        self,
        input: TensorType,
        position_ids: TensorType,
        cos_cache: TensorType,
        sin_cache: TensorType,
        *,
        output: TensorType,
    ) -> Work:
        turned = input.elements
        if self.rotary_embedding_dim:
            # only the first numbers of each head are turned, the rest is copied
            head_size = input.shape[3] if input.rank == 4 else input.shape[2] // self.num_heads
            turned = turned // head_size * self.rotary_embedding_dim
        # one row of the caches per position: given for every token, or counted on from one offset
        tokens = input.shape[2] if input.rank == 4 else input.shape[1]
        rows = position_ids.elements if position_ids.rank == 2 else tokens
        caches = (picked_bytes(cache, rows * cache.shape[1]) for cache in (cos_cache, sin_cache))
        return Work(elementwise=rotary(turned), reads=(input.bytes, position_ids.bytes, *caches))

    cases = (
        # 16 numbers, each x·cos ± y·sin; 2 rows of 2 from either cache
        Case("float32[1,2,8], int64[1,2], float32[10,2], float32[10,2] -> float32[1,2,8]", flops=48,
             elementwise={"mul": 32, "add": 16}, bytes_read=64 + 16 + 16 + 16, bytes_written=64),
        # half of each head of 8 is turned: 2·3·4 numbers; 3 rows counted on from an offset
        Case("float32[1,2,3,8], int64[1], float32[10,2], float32[10,2] -> float32[1,2,3,8]",
             {"rotary_embedding_dim": 4, "num_heads": 2}, flops=72, bytes_read=192 + 8 + 24 + 24, bytes_written=192),
    )
