"""MoE: every token passes through its k best experts, each a small network of two or three layers."""

from rooftune.ops.activation import activation
from rooftune.ops.case import Case
from rooftune.ops.operator import operator
from rooftune.ops.picks import picked_bytes
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType, Work
from rooftune.quantities import product

_ACTIVATIONS = {"relu": "Relu", "gelu": "Gelu", "silu": "Sigmoid", "swiglu": "Sigmoid", "identity": ""}


@operator("MoE", domain="com.microsoft")
class MoE:
    activation_type: str = "relu"
    k: int = 1

    reads_part = ("fc1", "fc1_bias", "fc2", "fc2_bias", "fc3", "fc3_bias")

    def work(
        self,
        input: TensorType,
        router_probs: TensorType,
        fc1: TensorType,
        fc1_bias: TensorType | None,
        fc2: TensorType,
        fc2_bias: TensorType | None = None,
        fc3: TensorType | None = None,
        fc3_bias: TensorType | None = None,
        *,
        output: TensorType,
    ) -> Work:
        tokens = router_probs.shape[0]
        passes = tokens * self.k
        layers = (fc1, fc2) if fc3 is None else (fc1, fc2, fc3)
        hidden = TensorType(input.dtype, (passes, fc2.shape[2]))
        gated = self.activation_type in ("silu", "swiglu")
        elementwise = tally(
            # routing: softmax over the experts, then k times the best of them
            activation("Softmax", router_probs),
            {"compare": self.k * router_probs.elements},
            {"add": sum(passes * b.shape[1] for b in (fc1_bias, fc2_bias, fc3_bias) if b is not None)},
            activation(_ACTIVATIONS[self.activation_type], hidden),
            # x · sigmoid(x); a third layer, or the other half of a fused one, is multiplied in
            {"mul": hidden.elements * (gated + (fc3 is not None or self.activation_type == "swiglu"))},
            # weighted sum of the experts' answers
            {"mul": self.k * input.elements, "add": self.k * input.elements},
        )
        # no more experts are read than there are passes
        experts = (fc1, fc1_bias, fc2, fc2_bias, fc3, fc3_bias)
        picked = [0 if t is None else picked_bytes(t, passes * product(t.shape[1:])) for t in experts]
        return Work(
            macs=passes * sum(product(layer.shape[1:]) for layer in layers),
            elementwise=elementwise,
            reads=(input.bytes, router_probs.bytes, *picked),
        )

    cases = (
        # two tokens, one of three experts each: 2·(8·4 + 4·8); softmax of 6, best of 3 twice, 16 Relus, 8 weighted;
        # at most two experts of 32 + 32 weights are read
        Case("float32[2,4], float32[2,3], float32[3,8,4], -, float32[3,4,8] -> float32[2,4]", macs=128,
             flops=256 + 30 + 6 + 16 + 16, bytes_read=32 + 24 + 256 + 256, bytes_written=32),
        # one token through both experts, with biases and a gate: 2·3·24; softmax of 2, two best of 2, 12 + 8 biases,
        # 12 SiLUs of five, 12 gated, 8 weighted
        Case("float32[1,1,4], float32[1,2], float32[2,6,4], float32[2,6], float32[2,4,6], float32[2,4], float32[2,6,4] "
             "-> float32[1,1,4]", {"k": 2, "activation_type": "silu"}, macs=144,
             flops=288 + 10 + 4 + 20 + 60 + 12 + 16, bytes_read=16 + 8 + 192 + 48 + 192 + 32 + 192, bytes_written=16),
    )
