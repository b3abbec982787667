"""PyTorch's compiler: networks of the zoo through `torch.compile`, weights frozen, channels last."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rooftune.execute.backend import Candidate, ModelFacts, TensorSpec
from rooftune.protocols import Arrays
from rooftune.verdicts import Refusal

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile
    from rooftune.graph.model import Model

__all__ = ["BACKEND", "InductorModel"]


class Inductor:
    """It compiles modules, not files: settings name a network of the zoo, its batch, and the seed of its weights."""

    name = "inductor"
    peer = True

    def available(self) -> Refusal | None:
        if importlib.util.find_spec("torch") is None:
            return Refusal("torch is not installed: pip install rooftune[torch]", at=self.name)
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler) is None:
            return Refusal(f"it needs a C++ compiler, and there is no {compiler}: install one or set CXX", at=self.name)
        return None

    def version(self) -> str:
        try:
            return importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:
            return ""

    def refuses(self, model: Model) -> Refusal | None:
        return None

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        return Candidate("inductor", {}, threads, label="frozen, channels last")

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        return [self.default(threads, objective)]

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> InductorModel:
        return InductorModel(candidate)


class InductorModel:
    """A compiled module, with arrays in and arrays out."""

    def __init__(self, candidate: Candidate) -> None:
        import torch
        import torch._inductor.config as options

        from rooftune import zoo

        options.freezing = True
        options.compile_threads = 1  # the default leaves a pool of processes behind
        torch.set_num_threads(candidate.threads)
        network, batch, seed = (candidate.settings[k] for k in ("network", "batch", "seed"))
        self._torch: Any = torch
        module: Any = zoo.build(network, seed)
        self._module: Any = torch.compile(module.to(memory_format=torch.channels_last))
        examples = {n: t.numpy() for n, t in zip(zoo.input_names(network), zoo.example_inputs(network, batch))}
        self.inputs = {name: TensorSpec(array.dtype.name, array.shape) for name, array in examples.items()}
        made = self.run(examples)  # compiled by its first run
        self.outputs = {name: TensorSpec(array.dtype.name, array.shape) for name, array in made.items()}

    def run(self, arrays: Arrays) -> dict[str, Any]:
        with self._torch.no_grad():
            return {"output": self._module(*(self._given(arrays[name]) for name in self.inputs)).numpy()}

    def _given(self, array: Any) -> Any:
        tensor = self._torch.from_numpy(array)
        return tensor.contiguous(memory_format=self._torch.channels_last) if tensor.dim() == 4 else tensor

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        raise NotImplementedError("kernels of inductor are not mapped to operators")

    def close(self) -> None:
        self._module = None


BACKEND = Inductor()
