"""A part of a model in ONNX Runtime, beside parts that run natively."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rooftune.execute.backend import Candidate, TensorSpec
from rooftune.execute.backends.onnxruntime import BACKEND as ONNXRUNTIME
from rooftune.graph.model import Model
from rooftune.graph.save import save_graph
from rooftune.protocols import Arrays

if TYPE_CHECKING:
    from rooftune.execute.profile import Profile

__all__ = ["FallbackStage", "fallback_candidate"]

_FOREIGN = {"bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"}
# are not NumPy's own and handed over as the engine's tensors, ...
_CONTAINERS = ("seq", "optional", "map", "string")  # ... which none of these can be


def fallback_candidate(threads: int) -> Candidate:
    """ONNX Runtime's default without threads that spin: they would starve those of the native stages."""
    default = ONNXRUNTIME.default(threads)
    return replace(default, settings={**default.settings, "spinning": False, "stop_spinning": True}, label="fallback")


class FallbackStage:
    """A session on a part of a model. Its file exists only while the session is made or profiled."""

    def __init__(self, model: Model, candidate: Candidate) -> None:
        """Load a part. Raises what the engine raises, and ValueError where a value cannot leave it or come in."""
        self._source, self._candidate = model, candidate
        with _written(model) as path:
            self.memory_bytes = sum(file.stat().st_size for file in path.parent.iterdir())
            self._loaded = ONNXRUNTIME.load(path, candidate)
        _require_crossing({spec.dtype for spec in (*self.inputs.values(), *self.outputs.values())})

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        return self._loaded.inputs

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        return self._loaded.outputs

    def run(self, arrays: Arrays) -> dict[str, Any]:
        return self._loaded.run(arrays)

    def profile(self, arrays: Arrays, runs: int) -> Profile:
        """By the engine's own profiler, in a second session."""
        from rooftune.execute.traces.onnxruntime import profile_session

        with _written(self._source) as path, tempfile.TemporaryDirectory(prefix="rooftune-profile-") as folder:
            return profile_session(path, self._candidate, self.run, arrays, runs, Path(folder))

    def close(self) -> None:
        self._loaded.close()


def _require_crossing(kinds: AbstractSet[str]) -> None:
    """Raise ValueError where the engine cannot give or take values of these types, or not in one run."""
    contained = {kind for kind in kinds if kind.startswith(_CONTAINERS)}
    odd = sorted(kind for kind in kinds - contained - _FOREIGN if not _is_numpys(kind))
    if odd:
        raise ValueError(f"a value of type {odd[0]} would cross")
    if contained and kinds & _FOREIGN:
        raise ValueError(f"values of types {', '.join(sorted(contained | (kinds & _FOREIGN)))} would cross together")


def _is_numpys(kind: str) -> bool:
    try:
        return np.dtype(kind).isbuiltin == 1
    except TypeError:
        return False


@contextmanager
def _written(model: Model) -> Iterator[Path]:
    """The model as a file of its own, large weights beside it, until the block ends."""
    # a system that does not let files go while they are mapped may keep them: better than failing
    with tempfile.TemporaryDirectory(prefix="rooftune-stage-", ignore_cleanup_errors=True) as folder:
        yield save_graph(model.ir, Path(folder) / "stage.onnx")
