"""Attention: softmax(Q·Kᵀ) · V for many heads, with mask, cache and soft cap."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count, DType

_ONNX_FLOATS = {1: DType.FLOAT32, 10: DType.FLOAT16, 11: DType.FLOAT64, 16: DType.BFLOAT16}


@operator("Attention", since=23)
class Attention:
    is_causal: int = 0
    left_window_size: int = -1
    q_num_heads: int = 0
    right_window_size: int = -1
    softcap: float = 0.0
    softmax_precision: int = 0

    def work(
        self,
        q: TensorType,
        k: TensorType,
        v: TensorType,
        attn_mask: TensorType | None = None,
        past_key: TensorType | None = None,
        past_value: TensorType | None = None,
        nonpad_kv_seqlen: TensorType | None = None,
        *,
        y: TensorType,
        present_key: TensorType | None = None,
        present_value: TensorType | None = None,
        qk_matmul_output: TensorType | None = None,
    ) -> Work:
        # the sequence is the axis before the last, with heads as an axis (4-D) and with heads side by side (3-D)
        keys = k.shape[-2] + (0 if past_key is None else past_key.shape[-2])
        heads = q.shape[1] if q.rank == 4 else self._heads()
        scores = TensorType(q.dtype, (q.shape[0], heads, q.shape[-2], keys))
        # every number of Q meets every key; every number of the result sums over all keys. Grouped heads share
        # keys and values, not products. What a causal mask, a window or a short sequence hides is counted too.
        macs = q.elements * keys + y.elements * keys
        return Work(macs=macs, elementwise=tally(*self._on_scores(scores, attn_mask, nonpad_kv_seqlen)))

    def _heads(self) -> int:
        if self.q_num_heads <= 0:
            raise ValueError("q_num_heads is missing")
        return self.q_num_heads

    def _on_scores(
        self, scores: TensorType, attn_mask: TensorType | None, nonpad_kv_seqlen: TensorType | None
    ) -> list[dict[str, Count]]:
        n = scores.elements
        # scaled once: the definition's two factors √scale are about range
        parts: list[dict[str, Count]] = [{"mul": n}, dict(activation("Softmax", scores))]
        if self.softcap:
            parts.append({"div": n, "tanh": n, "mul": n})
        if attn_mask is not None:
            parts.append({"compare": n} if attn_mask.dtype is DType.BOOL else {"add": n})
        # one selection for each bound on the visible keys
        bounds = (self.is_causal, self.left_window_size >= 0, self.right_window_size >= 0, nonpad_kv_seqlen is not None)
        parts.append({"compare": n * sum(1 for bound in bounds if bound)})
        if self.softmax_precision and _ONNX_FLOATS.get(self.softmax_precision) is not scores.dtype:
            parts.append({"convert": 2 * n})  # there and back
        return parts

    cases = (
        # two heads, 3 queries, 5 keys of 4, values of 6: 2·3·5·4 + 2·3·5·6 MACs; 30 scores: scale and five for softmax
        Case("float32[1,2,3,4], float32[1,2,5,4], float32[1,2,5,6] -> float32[1,2,3,6]", macs=120 + 180,
             padding_macs=0, flops=600 + 180, elementwise={"mul": 30, "compare": 30, "add": 60, "exp": 30, "div": 30},
             bytes_read=96 + 160 + 240, bytes_written=144),
        # four query heads of 2 share two key heads; 3 keys from before and 2 new ones: 4·2·5·2 MACs twice.
        # 40 scores: scale, cap (3), mask, causal selection, softmax (5)
        Case("float32[1,2,8], float32[1,2,4], float32[1,2,4], float32[2,5], float32[1,2,3,2], float32[1,2,3,2] "
             "-> float32[1,2,8], float32[1,2,5,2], float32[1,2,5,2]",
             {"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1, "softcap": 30.0}, macs=160, flops=320 + 440,
             elementwise={"mul": 80, "div": 80, "tanh": 40, "add": 40 + 80, "compare": 80, "exp": 40},
             bytes_read=64 + 32 + 32 + 40 + 48 + 48, bytes_written=64 + 80 + 80),
        # a transformer block of 8 heads of 64 with open batch and sequence
        Case("float16[N,8,S,64], float16[N,8,S,64], float16[N,8,S,64] -> float16[N,8,S,64]", macs="1024*N*S**2",
             flops="2048*N*S**2 + 48*N*S**2", bytes_read="3072*N*S", bytes_written="1024*N*S"),
        # half-precision scores through a float32 softmax under a boolean mask
        Case("float16[1,1,2,4], float16[1,1,3,4], float16[1,1,3,4], bool[2,3] -> float16[1,1,2,4]",
             {"softmax_precision": 1}, macs=48, flops=96 + 36 + 6 + 12, bytes_read=16 + 24 + 24 + 6, bytes_written=16),
    )
