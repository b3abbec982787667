"""`deployment.toml`: how the model is to be run, and the callable that runs it so."""

from __future__ import annotations

import os
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from rooftune.errors import InputError
from rooftune.execute.backend import Candidate, LoadedModel, TakesOtherSizes, TensorSpec, find_backend
from rooftune.protocols import Arrays
from rooftune.records import write_text_atomically

__all__ = ["Deployment", "Running", "load", "read_deployment", "write_deployment"]

_SCHEMA = 1
_LARGEST = 1 << 20
_MOST_THREADS = 4096  # more than any machine has: a bound on what a damaged file can ask for
_REMEDY = "give a run folder written by `rooftune optimize`"


@dataclass(frozen=True)
class Deployment:
    """Backend, settings, threads, precision and the shapes the open dimensions were bound to.

    verified  False where the outputs could not be shown to be those of the model given
    """

    backend: str
    settings: Mapping[str, Any]
    threads: int
    concurrency: int = 1
    label: str = ""
    precision: str = "fp32"
    model: str = "model.onnx"
    input_shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    verified: bool = True

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.backend, self.settings, self.threads, self.concurrency, self.label)


def write_deployment(deployment: Deployment, folder: Path) -> None:
    """Write `deployment.toml`."""
    data = {
        "schema": _SCHEMA,
        "model": deployment.model,
        "backend": deployment.backend,
        "precision": deployment.precision,
        "threads": deployment.threads,
        "instances": 1,
        "concurrency": deployment.concurrency,
        "verified": deployment.verified,
        "label": deployment.label,
        "settings": dict(deployment.settings),
        "input_shapes": {name: list(shape) for name, shape in deployment.input_shapes.items()},
    }
    write_text_atomically(folder / "deployment.toml", tomli_w.dumps(data))


def read_deployment(folder: Path) -> Deployment:
    """Read `deployment.toml` of a run folder; InputError says what is wrong with it."""
    file = folder / "deployment.toml"
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"{file} is larger than {_LARGEST} bytes", _REMEDY)
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} has no deployment.toml", _REMEDY) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as why:
        raise InputError(f"{file} cannot be read ({why})", _REMEDY) from None
    deployment = _parsed(data, file)
    inside = (folder / deployment.model).resolve()
    if folder.resolve() not in inside.parents:
        raise InputError(f"{file} names a model outside its folder: {deployment.model}", _REMEDY)
    if not inside.is_file():
        raise InputError(f"{folder} has no {deployment.model}", _REMEDY)
    return deployment


def _parsed(data: Mapping[str, Any], file: Path) -> Deployment:
    if data.get("schema") != _SCHEMA:
        raise InputError(
            f"{file} has schema {data.get('schema')!r}, this version reads {_SCHEMA}", "use the rooftune that wrote it"
        )
    try:
        deployment = Deployment(
            backend=str(data["backend"]),
            settings=dict(data["settings"]),
            threads=int(data["threads"]),
            concurrency=int(data.get("concurrency", 1)),
            label=str(data.get("label", "")),
            precision=str(data.get("precision", "fp32")),
            model=str(data.get("model", "model.onnx")),
            verified=data.get("verified", True) is True,
            input_shapes={str(k): [int(d) for d in v] for k, v in data.get("input_shapes", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as why:
        raise InputError(f"{file} lacks or garbles {why}", _REMEDY) from None
    for name in ("threads", "concurrency"):
        count = getattr(deployment, name)
        if not 1 <= count <= _MOST_THREADS:
            raise InputError(f"{file}: {name} is {count}, expected 1 to {_MOST_THREADS}", _REMEDY)
    return deployment


class Running:
    """A deployed model, ready to be called: a mapping from input name to array in, a dict from output name out."""

    def __init__(self, model: LoadedModel, deployment: Deployment) -> None:
        self._model = model
        self._closed = False
        self.deployment = deployment

    def __call__(self, inputs: Arrays) -> dict[str, Any]:
        """Run once. InputError names an input that is missing, unknown, or of wrong rank or element type."""
        if self._closed:
            raise InputError("the model was closed", "load the run folder again")
        return self._model.run(_checked(inputs, self._model.inputs, bool(self.deployment.input_shapes)))

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Element type and shape of every input, by name."""
        return self._model.inputs

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Element type and shape of every output, by name."""
        return self._model.outputs

    def close(self) -> None:
        """Free the engine's memory; the model cannot be called afterwards."""
        self._closed = True
        self._model.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _checked(inputs: Arrays, expected: Mapping[str, TensorSpec], bound: bool) -> dict[str, Any]:
    remedy = "the model takes " + ", ".join(f"{n}: {s.dtype}{list(s.shape)}" for n, s in expected.items())
    if bound:
        remedy += "; for other sizes optimize it again with --batch or --shape"
    if not isinstance(inputs, Mapping):
        raise InputError(f"expected a mapping from input name to array, found {type(inputs).__name__}", remedy)
    for name in expected:
        if name not in inputs:
            raise InputError(f"input {name!r} is missing", remedy)
    arrays: dict[str, Any] = {}
    for name, given in inputs.items():
        if name not in expected:
            raise InputError(f"{name!r} is no input of the model", remedy)
        array, spec = np.asarray(given), expected[name]
        if spec.dtype != "string" and array.dtype.name != spec.dtype:
            raise InputError(f"input {name!r} has element type {array.dtype}, expected {spec.dtype}", remedy)
        fits = array.ndim == len(spec.shape) and all(
            not isinstance(want, int) or want == found for want, found in zip(spec.shape, array.shape, strict=False)
        )
        if not fits:
            raise InputError(f"input {name!r} has shape {list(array.shape)}, expected {list(spec.shape)}", remedy)
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays


def load(folder: str | Path) -> Running:
    """Load the run folder that `rooftune optimize` left, with the backend, settings and threads it chose.

    Warns where the result could not be verified.
    """
    path = Path(folder)
    deployment = read_deployment(path)
    if not deployment.verified:
        warnings.warn(f"what {path} computes was not verified: its report says why", stacklevel=2)
    backend = find_backend(deployment.backend)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the engine is first imported
    try:
        file, shapes = path / deployment.model, deployment.input_shapes
        if shapes and isinstance(backend, TakesOtherSizes):
            model = backend.load_open(file, deployment.candidate, shapes)
        else:
            model = backend.load(file, deployment.candidate, shapes)
    except Exception as why:  # engines raise what they like
        reason = " ".join(str(why).split())[:600] or type(why).__name__
        raise InputError(f"{deployment.backend} cannot load {path / deployment.model}: {reason}", _REMEDY) from why
    return Running(model, deployment)
