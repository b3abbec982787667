"""GroupQueryAttention: attention in which several query heads share keys and values, with a cache.

Causal, counted dense: all scores of a query, also those a causal or windowed kernel skips.
Where past and present share one buffer, how much of it is filled is data and the work is unknown.
"""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.scaled_dot_product import rotary, scaled_dot_product
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Maybe, Unknown


@operator("GroupQueryAttention", domain="com.microsoft")
class GroupQueryAttention:
    num_heads: int = 1
    kv_num_heads: int = 1
    do_rotary: int = 0
    softcap: float = 0.0

    reads_part = ("cos_cache", "sin_cache")

    def work(
        self,
        query: TensorType,
        key: TensorType | None = None,
        value: TensorType | None = None,
        past_key: TensorType | None = None,
        past_value: TensorType | None = None,
        seqlens_k: TensorType | None = None,
        total_sequence_length: TensorType | None = None,
        cos_cache: TensorType | None = None,
        sin_cache: TensorType | None = None,
        position_ids: TensorType | None = None,
        attention_bias: TensorType | None = None,
        head_sink: TensorType | None = None,
        k_scale: TensorType | None = None,
        v_scale: TensorType | None = None,
        q_norm_weight: TensorType | None = None,
        k_norm_weight: TensorType | None = None,
        *,
        output: TensorType,
        present_key: TensorType | None = None,
        present_value: TensorType | None = None,
        output_qk: TensorType | None = None,
    ) -> Work | Unknown:
        batch, tokens = query.shape[:2]
        keys = tokens if past_key is None else tokens + past_key.shape[2]
        if past_key is not None and present_key is not None and past_key.shape[2] == present_key.shape[2]:
            return Unknown("how much of the shared key/value buffer is filled is data")
        width = output.shape[2]
        head_size = width // self.num_heads
        kv_width = self.kv_num_heads * head_size
        core = scaled_dot_product(
            query.dtype, batch, self.num_heads, tokens, keys, width, width,
            additions=int(attention_bias is not None), softcap=self.softcap > 0,
        )
        turned = batch * tokens * (width + kv_width)
        heads = TensorType(query.dtype, (batch, tokens, self.num_heads + self.kv_num_heads, head_size))
        elementwise = tally(
            rotary(turned) if self.do_rotary else {},
            {} if q_norm_weight is None else activation("RMSNormalization", heads),
            # a quantised cache is converted and scaled before use, keys and values alike
            {} if k_scale is None else dict.fromkeys(("convert", "mul"), 2 * batch * keys * kv_width),
            core.elementwise,
        )
        others = (query, key, value, past_key, past_value, seqlens_k, total_sequence_length)
        rest = (position_ids, attention_bias, head_sink, k_scale, v_scale, q_norm_weight, k_norm_weight)
        # one row of cosines and sines per token
        rows = [0 if c is None else picked_bytes(c, batch * tokens * c.shape[1]) for c in (cos_cache, sin_cache)]
        return Work(
            macs=core.macs,
            elementwise=elementwise,
            reads=(*(_bytes(v) for v in others), *rows, *(_bytes(v) for v in rest)),
        )

    cases = (
        # one token after seven, 4 query heads on 2 key heads of size 8: 8 keys for 32 + 32 columns, 4·8 scores
        Case("float32[1,1,32], float32[1,1,16], float32[1,1,16], float32[1,2,7,8], float32[1,2,7,8], int32[1], int32[] "
             "-> float32[1,1,32], float32[1,2,8,8], float32[1,2,8,8]", {"num_heads": 4, "kv_num_heads": 2},
             macs=512, flops=1024 + 6 * 32, bytes_read=128 + 64 + 64 + 448 + 448 + 4 + 4,
             bytes_written=128 + 512 + 512),
        # a prompt of 3 tokens, packed: 9 pairs for 32 + 32 columns, 18 scores, rotary on 3·(32 + 16) numbers
        Case("float32[1,3,64], -, -, -, -, int32[1], int32[], float32[10,8], float32[10,8] "
             "-> float32[1,3,32], float32[1,1,3,16], float32[1,1,3,16]",
             {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1}, macs=576, flops=1152 + 6 * 18 + 3 * 144,
             elementwise={"mul": 18 + 288, "add": 36 + 144, "compare": 18, "exp": 18, "div": 18},
             bytes_read=768 + 4 + 4 + 96 + 96, bytes_written=384 + 192 + 192),
        Case("float32[1,1,32], -, -, float32[1,1,9,8], float32[1,1,9,8], int32[1], int32[] "
             "-> float32[1,1,16], float32[1,1,9,8], float32[1,1,9,8]", {"num_heads": 2, "kv_num_heads": 1},
             flops=Unknown("filled part")),
    )


def _bytes(value: TensorType | None) -> Maybe:
    return 0 if value is None else value.bytes
