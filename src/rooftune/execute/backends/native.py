"""Our own compiler: models as one program for the processor at hand."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rooftune.execute.backend import Candidate, LoadedModel, ModelFacts, TensorSpec
from rooftune.protocols import Arrays
from rooftune.verdicts import Refusal

if TYPE_CHECKING:
    from rooftune.compiler.lowering import Lowered
    from rooftune.execute.profile import Profile
    from rooftune.graph.model import Model

__all__ = ["BACKEND", "Native", "NativeModel", "lowered_model"]

_TUNE_SECONDS = 20.0
"""Time for choosing schedules by measurement when a model is compiled; what was measured before costs nothing."""


class Native:
    """Whole models in fp32, compiled; a model that holds something there is no kernel for runs in ONNX Runtime."""

    name = "native"
    peer = False

    def available(self) -> Refusal | None:
        if importlib.util.find_spec("llvmlite") is None:
            return Refusal("not installed: pip install llvmlite", at=self.name)
        from rooftune.compiler.target import host_target

        return None if host_target() is not None else Refusal("no kernels for this processor", at=self.name)

    def version(self) -> str:
        return importlib.metadata.version("rooftune")

    def default(self, threads: int, objective: str = "latency") -> Candidate:
        return Candidate("native", {"winograd": True, "tune_seconds": _TUNE_SECONDS}, threads, label="winograd")

    def space(self, threads: int, objective: str = "latency", facts: ModelFacts | None = None) -> Sequence[Candidate]:
        plain = {"winograd": False, "tune_seconds": _TUNE_SECONDS}
        return [self.default(threads, objective), Candidate("native", plain, threads, label="direct")]

    def refuses(self, model: Model) -> Refusal | None:
        """What in a model there is no kernel for, so that another engine would run it; None where all is compiled."""
        found = lowered_model(model)
        return found if isinstance(found, Refusal) else None

    def load(
        self, model_path: Path, candidate: Candidate, input_shapes: Mapping[str, Sequence[int]] | None = None
    ) -> LoadedModel:
        from rooftune.graph.load import load

        model = load(model_path, shapes=input_shapes)
        lowered = lowered_model(model)
        if isinstance(lowered, Refusal):
            from rooftune.execute.backends.onnxruntime import BACKEND as ONNXRUNTIME

            return ONNXRUNTIME.load(model_path, ONNXRUNTIME.default(candidate.threads), input_shapes)
        return NativeModel(model, *lowered, candidate)


def lowered_model(model: Model) -> tuple[Lowered, Mapping[str, tuple[str, ...]]] | Refusal:
    """The operations of the rewritten model, and which given nodes stand behind its own; or what is in the way."""
    from rooftune.compiler.lower import lower
    from rooftune.execute.constants import evaluate_constants
    from rooftune.rewrite.engine import rewrite
    from rooftune.rewrite.order import choose_steps

    if model.open_dimensions:
        return Refusal(f"the sizes {', '.join(model.open_dimensions)} are open")
    rewritten = rewrite(model, choose_steps((), ()), evaluate=evaluate_constants)
    found = lower(rewritten.model)
    if isinstance(found, Refusal):
        return found
    origins: dict[str, tuple[str, ...]] = {}
    for entry in rewritten.journal.applied:
        before = [name for old in entry.removed for name in origins.pop(old, (old,))]
        for name in entry.added or (entry.node,):
            origins[name] = tuple(dict.fromkeys((*origins.get(name, (name,)), *before)))
    return found, origins


class NativeModel:
    """A compiled program, with arrays in and arrays out."""

    def __init__(
        self, model: Model, lowered: Lowered, origins: Mapping[str, tuple[str, ...]], candidate: Candidate
    ) -> None:
        from rooftune.compiler.program import build
        from rooftune.compiler.target import host_target
        from rooftune.execute.native_program import NativeProgram
        from rooftune.execute.tuning import tuner_for

        target = host_target(candidate.settings.get("isa"), candidate.threads)
        if target is None:
            raise RuntimeError("there are no kernels for this processor")
        self._candidate, self._origins = candidate, origins
        self._known = {node.name or "" for node in model.nodes}
        tuner = tuner_for(target, float(candidate.settings.get("tune_seconds", 0.0)))
        winograd = bool(candidate.settings.get("winograd", True))
        program = build(lowered, target, winograd=winograd, choose=tuner)
        self._program = NativeProgram(program, candidate.threads)
        self.inputs = {name: TensorSpec("float32", program.dims[name]) for name in program.inputs}
        self.outputs = {name: TensorSpec("float32", program.dims[name]) for name in program.outputs}

    def run(self, arrays: Arrays) -> dict[str, Any]:
        if arrays.keys() != self.inputs.keys():
            odd = sorted(arrays.keys() ^ self.inputs.keys())
            raise ValueError(f"inputs are {', '.join(self.inputs)}; wrong or missing: {', '.join(odd)}")
        for name, spec in self.inputs.items():
            array = arrays[name]
            if array.dtype != "float32" or array.shape != spec.shape:
                raise ValueError(
                    f"input {name} is {array.dtype}{list(array.shape)}, expected float32{list(spec.shape)}"
                )
        return dict(self._program.run(arrays))

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        """Every step with its share of the run, by the processor's counter, which costs next to nothing."""
        from rooftune.execute.profile import Kernel, assemble_profile

        seconds: list[float] = []
        shares: list[list[float]] = []
        for _ in range(max(1, runs)):
            start = time.perf_counter()
            self.run(arrays)
            seconds.append(time.perf_counter() - start)
            shares.append(self._program.phase_shares())
        whole = statistics.median(seconds)
        kernels, place = [], 0
        for step in self._program.program.steps:
            places = range(place, place := place + len(step.phases))
            share = statistics.median(sum(s[p] for p in places) for s in shares)
            nodes = tuple(dict.fromkeys(n for node in step.nodes for n in self._sources(node)))
            name = step.phases[0].function.name
            kernels.append(Kernel(name, step.kernel, share * whole, nodes, "name" if nodes else "layout"))
        return assemble_profile(
            backend="native",
            settings=dict(self._candidate.settings),
            threads=self._candidate.threads,
            kernels=kernels,
            model_seconds=whole,
            profiled_seconds=whole,
            runs=runs,
        )

    def _sources(self, node: str) -> tuple[str, ...]:
        """Nodes of the model given that a node of the rewritten one computes."""
        return tuple(n for n in self._origins.get(node, (node,)) if n in self._known)

    def close(self) -> None:
        self._program.close()


BACKEND = Native()
