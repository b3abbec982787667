"""The models that `rewrites.py` races on: files of the onnx wheel and exports of PyTorch, none of them optimised.

`light_*`           the nine light models of the onnx wheel with seeded random weights, the final Softmax cut off
`*-dynamo`          torch.onnx.export(dynamo=True, optimize=False): what the exporter writes before its own optimiser
`*-torchscript`     torch.onnx.export(dynamo=False, do_constant_folding=False), evaluation mode, and the training flag
                    at PRESERVE, because EVAL merges batch normalisations
Networks come from the zoo, batch 1; `encoder` is PyTorch's own TransformerEncoder, two layers of width 128.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnx

__all__ = ["EXPORTERS", "models"]

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
NETWORKS = (
    "repvgg_a0_train",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "densenet121",
    "vit_tiny_16",
    "encoder",
)
EXPORTERS: Mapping[str, Mapping[str, Any]] = {
    "dynamo": {"dynamo": True, "optimize": False, "external_data": False, "verbose": False},
    "torchscript": {"dynamo": False, "do_constant_folding": False},
}


def models() -> dict[str, Callable[[Path], Path]]:
    """What writes each model to a path, by name, in the order of the table."""
    found: dict[str, Callable[[Path], Path]] = {f.stem: partial(_light, f) for f in sorted(LIGHT.glob("light_*.onnx"))}
    for network in NETWORKS:
        for exporter in EXPORTERS:
            found[f"{network}-{exporter}"] = partial(_export, network, exporter)
    return found


def _light(source: Path, path: Path) -> Path:
    from rooftune.graph.seeded_weights import with_random_weights

    return with_random_weights(source, path, end_with_logits=True)


def _export(network: str, exporter: str, path: Path) -> Path:
    import torch

    module, inputs = _encoder() if network == "encoder" else _of_the_zoo(network)
    settings = dict(EXPORTERS[exporter])
    if exporter == "torchscript":
        settings["training"] = torch.onnx.TrainingMode.PRESERVE
    noise = logging.getLogger("torch.onnx")
    level = noise.level
    noise.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, inputs, path, input_names=["x"], **settings)
    finally:
        noise.setLevel(level)
    return path


def _of_the_zoo(network: str) -> tuple[Any, tuple[Any, ...]]:
    from rooftune import zoo

    return zoo.build(network), zoo.example_inputs(network)


def _encoder() -> tuple[Any, tuple[Any, ...]]:
    """Two layers over 64 tokens of width 128; gains and biases are drawn too, or half of the algebra would be by 1."""
    import torch
    from torch import nn

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(128, 4, 512, activation="gelu", batch_first=True)
        module = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        example = torch.randn(1, 64, 128)
    # the fast path is one fused operator of PyTorch's own, which no exporter knows
    torch.backends.mha.set_fastpath_enabled(False)
    return module, (example,)
