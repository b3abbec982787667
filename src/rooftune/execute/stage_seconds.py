"""How long nodes will take natively and in ONNX Runtime: what decides whether a native stage pays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rooftune.analysis.analyze import GroupFacts, analyze
from rooftune.analysis.groups import Kernel
from rooftune.analysis.predict import kernel_class
from rooftune.compiler.target import Target
from rooftune.execute.probe.stored import stored_machine
from rooftune.graph.model import Model
from rooftune.machine.spec import Bandwidth, Level, Machine, Peak, Standing
from rooftune.ops import TensorType
from rooftune.quantities import Unknown

__all__ = ["StageSeconds", "copy_rate", "machine_or_guess"]

_STEP_SECONDS = 5e-7
"""A barrier, and what filling and draining the loops of one more kernel costs."""

_WINOGRAD = 2.0
"""How much faster 3×3 convolutions of stride 1 are natively, at least (benchmarks/engines.py); others are as fast."""

_GUESSED_CLOCK, _GUESSED_BANDWIDTH = 3e9, 15e9  # of a computer that was never measured


@dataclass(frozen=True)
class StageSeconds:
    """Predicted seconds of the nodes of a model, by name.

    A node's time is its part of the kernel that ONNX Runtime fuses it into. Natively the same arithmetic and the
    same traffic take as long, but no kernel has to be started, and Winograd saves multiplications.
    """

    natively: dict[str, float | None]
    elsewhere: dict[str, float | None]

    @classmethod
    def of(cls, model: Model, machine: Machine, threads: int) -> StageSeconds:
        """Predict the nodes of a model for so many threads of a machine."""
        analysis = analyze(model, machine, threads=threads)
        natively: dict[str, float | None] = {}
        elsewhere: dict[str, float | None] = {}
        kernels = [kernel for kernel in analysis.kernels if kernel.kind != "folded"]
        for kernel, group in zip(kernels, analysis.groups, strict=True):
            there, here = _seconds(kernel, group)
            for node in group.nodes:
                elsewhere[node] = None if there is None else there / len(group.nodes)
                natively[node] = None if here is None else here / len(group.nodes)
        return cls(natively, elsewhere)

    def __call__(self, nodes: Iterable[str], native: bool) -> float | None:
        """Seconds of some nodes together; None where one is unknown. What engines compute beforehand costs nothing."""
        total = 0.0
        for node in nodes:
            seconds = (self.natively if native else self.elsewhere).get(node, 0.0)
            if seconds is None:
                return None
            total += seconds
        return total


def _seconds(kernel: Kernel, group: GroupFacts) -> tuple[float | None, float | None]:
    """A kernel in ONNX Runtime, and natively."""
    there, started = group.predicted_seconds, group.overhead_seconds
    if isinstance(there, Unknown) or started is None:
        return None, None
    busy = max(0.0, there - started)
    if kernel.kind == "compute":
        busy = busy / (_WINOGRAD if _is_winograds(kernel) else 1.0) + _STEP_SECONDS
    return there, busy


def _is_winograds(kernel: Kernel) -> bool:
    if kernel_class(kernel) != "convolution" or len(kernel.anchor.inputs) < 2:
        return False
    weight, strides = kernel.anchor.inputs[1], (kernel.anchor.attributes or {}).get("strides", (1, 1))
    kind = None if weight is None else weight.type
    return isinstance(kind, TensorType) and kind.dims is not None and kind.dims[2:] == (3, 3) and set(strides) == {1}


def machine_or_guess(target: Target) -> Machine:
    """The ceilings measured on this computer; where nobody measured them, those of an ordinary one with this target."""
    found = stored_machine(quick=True)
    if found is not None:
        return found
    guess = Standing("estimate", "never measured: see `rooftune machine probe`", "")
    flops = _GUESSED_CLOCK * 2 * target.lanes
    return Machine(
        id="unmeasured",
        name="unmeasured",
        kind="cpu",
        peaks=(Peak("fp32", flops, guess, threads=1),),
        levels=(Level("DRAM", None, (Bandwidth(_GUESSED_BANDWIDTH, guess, threads=1),)),),
    )


def copy_rate(machine: Machine, threads: int) -> float:
    """Bytes per second, read and written added up, at which large tensors are copied."""
    found = machine.bandwidth("DRAM", threads, "copy")
    return _GUESSED_BANDWIDTH if isinstance(found, Unknown) else found
