"""Which networks the zoo holds, what is published of them, and how to build one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, resources
from typing import TYPE_CHECKING, Any

from rooftune.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Oracle", "SEQUENCE", "blueprint", "build", "example_inputs", "input_names", "names", "oracle"]

SEQUENCE = 128
"""Tokens in the example input of a language network."""


@dataclass(frozen=True)
class Oracle:
    """What is published of a network.

    params  elements of weights, biases and normalisation parameters, exact
    gmacs   10⁹ multiply-accumulates in convolutions and matrix products, as printed by the source
    """

    params: int
    gmacs: str
    source: str

    def agrees(self, macs: int) -> bool:
        """True where `macs` rounds to the printed digits: at most half of the last one away."""
        decimals = len(self.gmacs.partition(".")[2])
        half = 0.5 / 10.0**decimals
        return abs(macs / 1e9 - float(self.gmacs)) <= half * (1 + 1e-9)


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files("rooftune.zoo").joinpath("networks.toml").read_text(encoding="utf-8"))


def names() -> tuple[str, ...]:
    """Names of all networks, in the order of the table."""
    return tuple(_table())


def oracle(name: str) -> Oracle:
    """Published parameters and multiply-accumulates of a network. Raises `InputError` for an unknown name."""
    row = _row(name)
    return Oracle(row["params"], row["gmacs"], row["source"])


def build(name: str, seed: int = 0) -> nn.Module:
    """A network in evaluation mode with seeded random weights; the same seed gives the same weights.

    Weights are He-scaled, normalisation statistics are not trivial, so that outputs depend on every part.
    Raises `InputError` for an unknown name and `MissingDependency` without torch.
    """
    module = blueprint(name)
    from rooftune.zoo.weights import draw_weights

    return draw_weights(module, seed)


def blueprint(name: str) -> nn.Module:
    """A network in evaluation mode whose weights have shapes and no memory (torch's meta device)."""
    family = _row(name)["family"]
    torch = _torch()
    with torch.device("meta"):
        module: nn.Module = import_module(f"rooftune.zoo.{family}").NETWORKS[name]()
    module.eval()
    return module


def example_inputs(name: str, batch: int = 1, seed: int = 0, device: str = "cpu") -> tuple[Tensor, ...]:
    """Random inputs of the published size: images 224×224, or token numbers, segments and positions for BERT."""
    family = _row(name)["family"]
    torch = _torch()
    if device == "meta":
        return tuple(tensor.to("meta") for tensor in example_inputs(name, batch))
    generator = torch.Generator().manual_seed(seed)
    if family == "bert":
        from rooftune.zoo.bert import VOCABULARY

        tokens = torch.randint(0, VOCABULARY, (batch, SEQUENCE), generator=generator)
        segments = torch.randint(0, 2, (batch, SEQUENCE), generator=generator)
        return tokens, segments, torch.arange(SEQUENCE)[None]
    return (torch.randn(batch, 3, 224, 224, generator=generator),)


def input_names(name: str) -> tuple[str, ...]:
    """Names of the inputs an exported network has."""
    return ("tokens", "segments", "positions") if _row(name)["family"] == "bert" else ("image",)


def _row(name: str) -> Mapping[str, Any]:
    table = _table()
    if name not in table:
        raise InputError(f"the zoo has no network called {name!r}", f"one of {', '.join(table)}")
    return table[name]


def _torch() -> Any:
    try:
        import torch
    except ImportError as why:
        raise MissingDependency(
            "the zoo builds its networks with torch, which is not installed", "pip install rooftune[torch]"
        ) from why
    return torch
