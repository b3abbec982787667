"""ncnn on the CPU in fp32, from files that `ncnn_files.convert` wrote."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rooftune.execute.backend import Candidate, ModelFacts, TensorSpec
from rooftune.protocols import Arrays
from rooftune.verdicts import Refusal

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile
    from rooftune.graph.model import Model

__all__ = ["BACKEND", "NcnnModel"]

_REDUCED = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_int8_inference",
)
"""Options that would leave fp32; all others stay as the engine sets them, Winograd's convolution among them."""


class Ncnn:
    """The engine of mobile networks; its x86 kernels have Winograd's convolution."""

    name = "ncnn"
    peer = True

    def available(self) -> Refusal | None:
        for package in ("ncnn", "pnnx"):
            if importlib.util.find_spec(package) is None:
                return Refusal(f"{package} is not installed: pip install rooftune[bench]", at=self.name)
        return None

    def version(self) -> str:
        try:
            return importlib.metadata.version("ncnn")
        except importlib.metadata.PackageNotFoundError:
            return ""

    def refuses(self, model: Model) -> Refusal | None:
        return None

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        return Candidate("ncnn", {}, threads, label="fp32")

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        return [self.default(threads, objective)]

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> NcnnModel:
        return NcnnModel(model_path, candidate)


class NcnnModel:
    """A network for one image; the images of a batch run one after the other.

    The engine has had a batch mode of its own since 2026. It was slower than the loop on MobileNetV2 and ended the
    process on a transformer, so a user would not take it.
    """

    def __init__(self, parameters: Path, candidate: Candidate) -> None:
        self._ncnn: Any = importlib.import_module("ncnn")
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = candidate.threads
        self._net.opt.use_vulkan_compute = False
        for option in _REDUCED:
            setattr(self._net.opt, option, False)
        weights = parameters.with_suffix(".bin")
        if self._net.load_param(str(parameters)) or self._net.load_model(str(weights)):
            raise RuntimeError(f"ncnn cannot read {parameters.name} and {weights.name}")
        self.inputs = {name: TensorSpec("float32", ()) for name in self._net.input_names()}
        self.outputs = {name: TensorSpec("float32", ()) for name in self._net.output_names()}

    def run(self, arrays: Arrays) -> dict[str, Any]:
        """Outputs by the engine's own names; inputs are taken in the order of the model, whatever their names."""
        images = [self._one(each) for each in zip(*arrays.values(), strict=True)]
        return {name: np.stack([image[place] for image in images]) for place, name in enumerate(self.outputs)}

    def _one(self, tensors: Sequence[Any]) -> list[Any]:
        extractor = self._net.create_extractor()
        given = [np.ascontiguousarray(tensor) for tensor in tensors]  # the engine reads them where they are
        for name, tensor in zip(self.inputs, given, strict=True):
            extractor.input(name, self._ncnn.Mat(tensor))
        made = []
        for name in self.outputs:
            code, tensor = extractor.extract(name)
            if code:
                raise RuntimeError(f"ncnn ended with {code} at {name}")
            made.append(np.array(tensor))
        return made

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        raise NotImplementedError("the wheel of ncnn does not time its layers")

    def close(self) -> None:
        self._net.clear()


BACKEND = Ncnn()
