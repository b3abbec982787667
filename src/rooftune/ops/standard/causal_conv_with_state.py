"""CausalConvWithState: a depthwise convolution over the past, which the caller carries from call to call."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.ops.windows import taps_inside
from rooftune.quantities import Count


@operator("CausalConvWithState", since=27)
class CausalConvWithState:
    activation: str = "none"

    def work(
        self,
        x: TensorType,
        weight: TensorType,
        bias: TensorType | None = None,
        past_state: TensorType | None = None,
        *,
        output: TensorType,
        present_state: TensorType | None = None,
    ) -> Work:
        batch, channels, length = output.shape
        kernel = weight.shape[2]
        macs = output.elements * kernel
        # without a past the first kernel − 1 outputs look at zeros in front of the sequence
        inside = kernel * length if past_state is not None else taps_inside(length, length, kernel, 1, 1, kernel - 1)
        parts: list[dict[str, Count]] = [] if bias is None else [{"add": output.elements}]
        if self.activation in ("silu", "swish"):
            parts.append(tally(activation("Sigmoid", output), {"mul": output.elements}))
        return Work(macs=macs, padding_macs=macs - batch * channels * inside, elementwise=tally(*parts))

    cases = (
        # per channel the first two outputs miss two taps and one
        Case("float32[1,2,4], float32[2,1,3] -> float32[1,2,4], float32[1,2,2]", macs=24, padding_macs=6, flops=48,
             bytes_read=32 + 24, bytes_written=32 + 16),
        # bias, then negate, exp, add one, divide and multiply of SiLU
        Case("float32[1,2,4], float32[2,1,3], float32[2], float32[1,2,2] -> float32[1,2,4], float32[1,2,2]",
             {"activation": "silu"}, macs=24, padding_macs=0, flops=48 + 8 + 40,
             elementwise={"add": 24, "exp": 8, "div": 8, "mul": 8}, bytes_read=32 + 24 + 8 + 16, bytes_written=48),
        Case("float16[N,8,1], float16[8,1,4], -, float16[N,8,3] -> float16[N,8,1], float16[N,8,3]", macs="32*N",
             padding_macs=0, flops="64*N", bytes_read="16*N + 64 + 48*N", bytes_written="16*N + 48*N"),
    )
