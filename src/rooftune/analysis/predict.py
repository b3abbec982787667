"""Predicted time: the roof with the utilisation kernels reach and the time it takes to start them put in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from rooftune.analysis.groups import Kernel
from rooftune.analysis.roofline import Roof
from rooftune.analysis.work import NodeWork
from rooftune.machine.spec import Machine
from rooftune.ops import TensorType
from rooftune.quantities import DType

__all__ = ["Prediction", "alignment", "kernel_class", "predict", "prediction_model"]


@dataclass(frozen=True)
class Prediction:
    """Predicted seconds of one kernel and what makes them up."""

    seconds: float
    utilisation: float
    overhead_seconds: float
    bound: str


@dataclass(frozen=True)
class PredictionModel:
    """Coefficients of a backend: utilisation per class of kernel, and seconds to start one kernel."""

    utilisation: Mapping[str, float]
    overhead_seconds: float
    thread_overhead_seconds: float
    memory_utilisation: float
    source: str


@lru_cache(maxsize=8)
def prediction_model(backend: str) -> PredictionModel:
    """Coefficients of a backend, from `prediction.toml`; those of `none` where it has no table."""
    text = resources.files("rooftune.analysis").joinpath("prediction.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    table = data.get(backend, data["none"])
    return PredictionModel(
        utilisation=table["utilisation"],
        overhead_seconds=table["overhead_seconds"],
        thread_overhead_seconds=table["thread_overhead_seconds"],
        memory_utilisation=table["memory_utilisation"],
        source=table["source"],
    )


def predict(kernel: Kernel, roof: Roof, machine: Machine, threads: int, backend: str) -> Prediction:
    """max(compute / utilisation, memory / utilisation) + overhead.

    Utilisation = share of the peak this class of kernel reaches on large shapes × channels lost to vector
    alignment; by the arithmetic of the graph, so that Winograd's convolutions may reach more than all of it. A machine
    that states its own time per kernel start overrides the backend's.
    """
    if kernel.kind != "compute":
        return Prediction(0.0, 1.0, 0.0, roof.bound)
    model = prediction_model(backend)
    share = model.utilisation[kernel_class(kernel)] * alignment(kernel.anchor, machine, roof.format)
    overhead = machine.overhead_seconds
    if overhead is None:
        overhead = model.overhead_seconds + (model.thread_overhead_seconds if threads > 1 else 0.0)
    busy = max(roof.compute_seconds / share, roof.memory_seconds / model.memory_utilisation)
    bound = "overhead" if overhead > busy else roof.bound
    return Prediction(busy + overhead, share, overhead, bound)


def kernel_class(kernel: Kernel) -> str:
    """`convolution`, `pointwise` (1×1), `depthwise`, `grouped`, `matmul`, `recurrent`, `elementwise` or `other`."""
    node = kernel.anchor
    if node.op in ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger", "FusedConv"):
        return _convolution_class(node)
    if node.op in (
        "Gemm",
        "MatMul",
        "QLinearMatMul",
        "MatMulInteger",
        "FusedMatMul",
        "FusedGemm",
        "Attention",
        "Einsum",
    ):
        return "matmul"
    if node.op in ("LSTM", "GRU", "RNN"):
        return "recurrent"
    macs = getattr(node.work, "macs", 0)
    return "elementwise" if isinstance(macs, int) and macs == 0 else "other"


def _convolution_class(node: NodeWork) -> str:
    weight_position = 3 if node.op == "QLinearConv" else 1
    weight = node.inputs[weight_position] if len(node.inputs) > weight_position else None
    kind = weight.type if weight is not None else None
    if not isinstance(kind, TensorType) or kind.dims is None:
        return "convolution"
    group = int((node.attributes or {}).get("group", 1))
    if group > 1:
        return "depthwise" if kind.dims[1] == 1 else "grouped"
    return "pointwise" if all(d == 1 for d in kind.dims[2:]) else "convolution"


def alignment(node: NodeWork, machine: Machine, number_format: str) -> float:
    """Share of the lanes that carry real output channels: C / (⌈C / a⌉ · a), a = lanes of a vector."""
    lanes = vector_lanes(machine, number_format)
    output = node.outputs[0] if node.outputs else None
    kind = output.type if output is not None else None
    if lanes <= 1 or not isinstance(kind, TensorType) or not kind.dims or len(kind.dims) < 2:
        return 1.0
    channels = kind.dims[1] if node.op in ("Conv", "ConvTranspose", "QLinearConv", "FusedConv") else kind.dims[-1]
    if not isinstance(channels, int) or channels <= 0 or kind.dtype is DType.STRING:
        return 1.0
    return channels / (-(-channels // lanes) * lanes)


def vector_lanes(machine: Machine, number_format: str) -> int:
    """32-bit lanes of the widest vector (accumulators are 32 bits wide for every narrower format); 64-bit for fp64."""
    bits = 512 if any(f.startswith("avx512") for f in machine.isa) else 0
    bits = bits or (256 if any(f in ("avx2", "avx") for f in machine.isa) else 0)
    bits = bits or (128 if any(f in ("sse2", "neon", "asimd") for f in machine.isa) else 0)
    return bits // (64 if number_format == "fp64" else 32) if bits else 1
