"""RNN: a simple recurrent layer, H = f(X·Wᵀ + H·Rᵀ + bias) step by step."""

from collections.abc import Sequence

from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.recurrence import recurrent_work
from rooftune.ops.types import TensorType, Work


@operator("RNN")
class RNN:
    activations: Sequence[str] = ()
    clip: float | None = None

    def work(
        self,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None = None,
        sequence_lens: TensorType | None = None,
        initial_h: TensorType | None = None,
        *,
        y: TensorType | None = None,
        y_h: TensorType | None = None,
    ) -> Work:
        return recurrent_work(
            x,
            w,
            r,
            b,
            activations=self.activations or ["Tanh"] * w.shape[0],
            times=(1,),
            clip=self.clip is not None,
            cell={},
        )

    cases = (
        # 3 steps of 2 sequences: 6 · (5·4 + 5·5) MACs, two biases and one tanh per unit and step
        Case("float32[3,2,4], float32[1,5,4], float32[1,5,5], float32[1,10] -> float32[3,1,2,5], float32[1,2,5]",
             macs=270, flops=540 + 90, elementwise={"add": 60, "tanh": 30},
             bytes_read=96 + 80 + 100 + 40, bytes_written=120 + 40),
        # both directions, an open number of steps, only the last state asked for
        Case("float32[S,1,4], float32[2,3,4], float32[2,3,3] -> -, float32[2,1,3]",
             {"activations": ["Relu", "Tanh"], "direction": "bidirectional"}, macs="42*S", flops="84*S + 6*S",
             bytes_read="16*S + 96 + 72", bytes_written=24),
    )
