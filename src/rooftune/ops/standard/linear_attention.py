"""LinearAttention: attention through a state of fixed size that is updated with every token."""

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import Count


@operator("LinearAttention", since=27)
class LinearAttention:
    update_rule: str = "gated_delta"

    def work(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        past_state: TensorType | None = None,
        decay: TensorType | None = None,
        beta: TensorType | None = None,
        *,
        output: TensorType,
        present_state: TensorType,
    ) -> Work:
        # the recurrence token by token is counted; chunked forms do more arithmetic for the same result
        tokens = query.shape[1]
        update = tokens * present_state.elements
        # per token: the outer product k·vᵀ goes into the state of every key head; every query head reads a state
        macs = update + output.elements * present_state.shape[2]
        parts: list[dict[str, Count]] = [{"mul": output.elements}]  # scale
        if self.update_rule in ("gated", "gated_delta"):
            # the state fades by exp(g)
            parts.append({"mul": update, "exp": 0 if decay is None else decay.elements})
        if self.update_rule in ("delta", "gated_delta"):
            # what the state already knows of this key is read, taken off the value, and the rest weighted by β
            macs = macs + update
            parts.append({"add": value.elements, "mul": value.elements})
        return Work(macs=macs, elementwise=tally(*parts))

    cases = (
        # 2 tokens, state 3×4: 2·12 for the update, 16 outputs of 3 products; 16 scalings
        Case("float32[1,2,6], float32[1,2,3], float32[1,2,4] -> float32[1,2,8], float32[1,1,3,4]",
             {"q_num_heads": 2, "kv_num_heads": 1, "update_rule": "linear"}, macs=24 + 48, flops=144 + 16,
             bytes_read=48 + 24 + 32, bytes_written=64 + 48),
        # with the delta rule the state is read once more; it fades (24), 8 differences, 8 weights
        Case("float32[1,2,6], float32[1,2,3], float32[1,2,4], -, float32[1,2,1], float32[1,2,1] "
             "-> float32[1,2,8], float32[1,1,3,4]", {"q_num_heads": 2, "kv_num_heads": 1}, macs=24 + 24 + 48,
             flops=192 + 58, elementwise={"mul": 16 + 24 + 8, "add": 8, "exp": 2},
             bytes_read=48 + 24 + 32 + 8 + 8, bytes_written=64 + 48),
        Case("float16[N,1,8], float16[N,1,8], float16[N,1,8], float16[N,2,4,4] -> float16[N,1,8], float16[N,2,4,4]",
             {"q_num_heads": 2, "kv_num_heads": 2, "update_rule": "linear"}, macs="64*N", flops="128*N + 8*N",
             bytes_read="48*N + 64*N", bytes_written="16*N + 64*N"),
    )
