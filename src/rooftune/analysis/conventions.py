"""The well-known intensities, each under the convention that gives it, beside the one that fits a ridge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rooftune.analysis.work import NodeWork
from rooftune.ops.types import add_up
from rooftune.quantities import Maybe

__all__ = ["Convention", "intensity_conventions"]

_ACTIVATIONS = frozenset(
    """Relu Sigmoid Tanh Clip LeakyRelu Elu Selu HardSigmoid HardSwish PRelu Softplus Softsign Gelu Mish Swish
    ThresholdedRelu Celu Softmax LogSoftmax Dropout BatchNormalization Identity Reshape Flatten Squeeze
    Unsqueeze""".split()
)


@dataclass(frozen=True)
class Convention:
    """One way of stating an intensity. `operations` counts MACs or FLOPs, as `unit` says."""

    name: str
    unit: str
    operations: Maybe
    bytes: Maybe
    intensity: float | None
    explanation: str


def intensity_conventions(
    nodes: Sequence[NodeWork], macs: Maybe, flops: Maybe, fused: Maybe, shared_weights: Maybe
) -> tuple[Convention, ...]:
    """The textbook's two sub-conventions and the fused view, over the same model.

    Both textbook forms divide MACs (not FLOPs) by weights + outputs (inputs left out). `layers` counts the output
    of each convolution, pooling and fully connected layer once, as in "VGG16: 25"; `every node` counts those of
    BatchNorm and activation too, as in "MobileNetV1: 7". Neither may be held against a ridge in FLOP/B.
    """
    layers = [n for n in nodes if not n.folded and n.op not in _ACTIVATIONS]
    everything = [n for n in nodes if not n.folded]
    return (
        _convention(
            "textbook, layers",
            "MAC/B",
            macs,
            add_up((shared_weights, _outputs(layers))),
            "MACs over weights and the outputs of convolutions, pools and fully connected layers; activations and "
            "normalisations are not counted. The form behind “VGG16: 25”.",
        ),
        _convention(
            "textbook, every node",
            "MAC/B",
            macs,
            add_up((shared_weights, _outputs(everything))),
            "MACs over weights and the output of every node, normalisations and activations each their own. The form "
            "behind “MobileNetV1: 7”.",
        ),
        _convention(
            "fused",
            "FLOP/B",
            flops,
            fused,
            "FLOPs (2 per MAC) over what fused kernels read and write: inputs, weights and outputs. The only one of "
            "the three that may be compared with a ridge in FLOP/B: the others count half the operations and leave "
            "the inputs out.",
        ),
    )


def _outputs(nodes: Sequence[NodeWork]) -> Maybe:
    return add_up(t.bytes for n in nodes for t in n.outputs if t is not None)


def _convention(name: str, unit: str, operations: Maybe, size: Maybe, explanation: str) -> Convention:
    intensity = None
    if isinstance(operations, int | float) and isinstance(size, int | float) and size:
        intensity = operations / size
    return Convention(name, unit, operations, size, intensity, explanation)
