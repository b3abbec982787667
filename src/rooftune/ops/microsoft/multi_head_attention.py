"""MultiHeadAttention: attention over queries, keys and values that are projected already."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.scaled_dot_product import scaled_dot_product
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Unknown


@operator("MultiHeadAttention", domain="com.microsoft")
class MultiHeadAttention:
    num_heads: int = 1
    unidirectional: int = 0

    def work(
        self,
        query: TensorType,
        key: TensorType | None = None,
        value: TensorType | None = None,
        bias: TensorType | None = None,
        key_padding_mask: TensorType | None = None,
        attention_bias: TensorType | None = None,
        past_key: TensorType | None = None,
        past_value: TensorType | None = None,
        past_sequence_length: TensorType | None = None,
        cache_indirection: TensorType | None = None,
        *,
        output: TensorType,
        present_key: TensorType | None = None,
        present_value: TensorType | None = None,
        qk: TensorType | None = None,
    ) -> Work | Unknown:
        if past_sequence_length is not None:
            return Unknown("how much of the shared key/value buffer is filled is data")
        batch, tokens = query.shape[:2]
        # packed: [batch, tokens, heads, 3, head size]
        width = query.shape[2] if query.rank == 3 else query.shape[2] * query.shape[4]
        # keys come as [batch, tokens, ...], or as a cache [batch, heads, tokens, head size]
        cached = key is not None and key.rank == 4
        new = tokens if key is None else key.shape[2 if cached else 1]
        keys = new if past_key is None else new + past_key.shape[2]
        value_width = output.shape[2]
        added = (key_padding_mask is not None or self.unidirectional == 1) + (attention_bias is not None)
        core = scaled_dot_product(
            query.dtype, batch, self.num_heads, tokens, keys, width, value_width, additions=added
        )
        # the bias belongs to what was projected here; cached keys and values have theirs
        biased = batch * tokens * width + (0 if cached else batch * new * (width + value_width))
        return Work(macs=core.macs, elementwise=tally({} if bias is None else {"add": biased}, core.elementwise))

    cases = (
        # scores 2·3 over 4, values 2·3 for 6 columns; 2·2·3 = 12 scores; biases on 2·4 + 3·4 + 3·6 numbers
        Case("float32[1,2,4], float32[1,3,4], float32[1,3,6], float32[14] -> float32[1,2,6]", {"num_heads": 2},
             macs=24 + 36, flops=2 * 60 + 38 + 6 * 12,
             elementwise={"add": 38 + 24, "mul": 12, "compare": 12, "exp": 12, "div": 12},
             bytes_read=32 + 48 + 72 + 56, bytes_written=48),
        # packed, 2 heads of 4, self-attention of 3 tokens: 9 pairs for 8 + 8 columns, 18 scores
        Case("float32[1,3,2,3,4] -> float32[1,3,8]", {"num_heads": 2}, macs=144, flops=288 + 6 * 18,
             bytes_read=288, bytes_written=96),
        # one token, keys and values of 5 tokens from a cache, with a mask: 5 pairs for 8 + 8 columns, 10 scores
        Case("float32[1,1,8], float32[1,2,5,4], float32[1,2,5,4], -, int32[1,5] -> float32[1,1,8]", {"num_heads": 2},
             macs=80, flops=160 + 7 * 10, bytes_read=32 + 160 + 160 + 20, bytes_written=32),
    )
