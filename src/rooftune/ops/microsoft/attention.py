"""Attention: projection to queries, keys and values in one product, then multi-head attention.

A causal mask (unidirectional) is counted as one more addition to the scores: the kernel computes all of them.
"""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.scaled_dot_product import rotary, scaled_dot_product
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Dim, Unknown


@operator("Attention", domain="com.microsoft")
class Attention:
    num_heads: int = 1
    unidirectional: int = 0
    past_present_share_buffer: int = 0
    do_rotary: int = 0
    qkv_hidden_sizes: Sequence[int] = ()

    def work(
        self,
        input: TensorType,
        weights: TensorType,
        bias: TensorType | None = None,
        mask_index: TensorType | None = None,
        past: TensorType | None = None,
        attention_bias: TensorType | None = None,
        past_sequence_length: TensorType | None = None,
        *,
        output: TensorType,
        present: TensorType | None = None,
    ) -> Work | Unknown:
        if self.past_present_share_buffer:
            return Unknown("how much of the shared key/value buffer is filled is data")
        batch, tokens, hidden = input.shape
        # past is [2, batch, heads, earlier tokens, head size]
        keys = tokens if past is None else tokens + past.shape[3]
        width, value_width = self._widths(weights)
        projected = batch * tokens * weights.shape[1]
        added = (mask_index is not None or self.unidirectional == 1) + (attention_bias is not None)
        core = scaled_dot_product(
            input.dtype, batch, self.num_heads, tokens, keys, width, value_width, additions=added
        )
        elementwise = tally(
            {} if bias is None else {"add": projected},
            rotary(2 * batch * tokens * width) if self.do_rotary else {},
            core.elementwise,
        )
        return Work(macs=projected * hidden + core.macs, elementwise=elementwise)

    def _widths(self, weights: TensorType) -> tuple[Dim, Dim]:
        """Width of the queries (and keys) and of the values, all heads together."""
        if self.qkv_hidden_sizes:
            return self.qkv_hidden_sizes[0], self.qkv_hidden_sizes[2]
        return weights.shape[1] // 3, weights.shape[1] // 3

    cases = (
        # projection 2·3·12 over 4; scores 2·3·3 over 4 and as much for the values; 2·2·9 = 36 scores
        Case("float32[2,3,4], float32[4,12], float32[12] -> float32[2,3,4]", {"num_heads": 2},
             macs=288 + 72 + 72, flops=2 * 432 + 72 + 6 * 36,
             elementwise={"add": 72 + 72, "mul": 36, "compare": 36, "exp": 36, "div": 36},
             bytes_read=96 + 192 + 48, bytes_written=96),
        # one token after five: 24 over 8, then 6 keys of width 8 twice; 2·6 = 12 scores with a mask
        Case("float32[1,1,8], float32[8,24], float32[24], int32[1,6], float32[2,1,2,5,4] "
             "-> float32[1,1,8], float32[2,1,2,6,4]", {"num_heads": 2, "unidirectional": 1},
             macs=192 + 48 + 48, flops=2 * 288 + 24 + 7 * 12,
             bytes_read=32 + 768 + 96 + 24 + 320, bytes_written=32 + 384),
        # values narrower than keys: projection 2·10 over 6; scores 2·2 over 4, values 2·2 over 2
        Case("float32[1,2,6], float32[6,10], float32[10] -> float32[1,2,2]",
             {"num_heads": 1, "qkv_hidden_sizes": [4, 4, 2]}, macs=120 + 16 + 8, flops=2 * 144 + 20 + 6 * 4,
             bytes_read=48 + 240 + 40, bytes_written=16),
        Case("float32[1,1,8], float32[8,24], float32[24], -, float32[2,1,2,9,4], -, int32[1] "
             "-> float32[1,1,8], float32[2,1,2,9,4]", {"num_heads": 2, "past_present_share_buffer": 1},
             flops=Unknown("filled part")),
    )
