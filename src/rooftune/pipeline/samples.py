"""The inputs a model is verified and timed with: the user's, or drawn at random to its types."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx_ir
from numpy.typing import NDArray

from rooftune.errors import InputError
from rooftune.execute.backend import TensorSpec
from rooftune.execute.inputs import random_inputs, read_inputs
from rooftune.graph.model import Model
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.pipeline.prepare import open_model, require_complete

__all__ = ["Given", "Samples", "input_specs", "open_with_samples"]

RANDOM_SAMPLES = 3  # one could pass by luck: outputs are also checked to change with the input

Samples = list[dict[str, NDArray[Any]]]
Given: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | None


def input_specs(model: Model) -> dict[str, TensorSpec]:
    """Element type and shape of every input; open dimensions under their names. InputError for other kinds."""
    specs = {}
    for name, kind in model.inputs.items():
        if not isinstance(kind, TensorType):
            raise InputError(
                f"input {name!r} is a {kind or 'value of unknown type'}, engines are given tensors only",
                "export the model with tensor inputs",
            )
        if kind.dims is None:
            raise InputError(f"input {name!r} declares no shape", f"give one: --shape {name}=1x3x224x224")
        specs[name] = TensorSpec(kind.dtype.text, tuple(d if isinstance(d, int) else str(d) for d in kind.dims))
    return specs


def open_with_samples(
    source: Any, given: Given, *, shapes: Mapping[str, Sequence[int | str]] | None, batch: int | None, seed: int
) -> tuple[Model, Samples]:
    """A model that can be run, and inputs to run it with.

    given  an .npz file or arrays by name, whose shapes bind open dimensions; None: three random sets drawn from `seed`

    Raises InputError when weights are missing, dimensions stay open or the inputs do not fit.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}", "give 0 or more")
    if given is not None and not isinstance(given, Mapping | str | os.PathLike):
        raise InputError(f"inputs are given as {type(given).__name__}", "give an .npz file, or arrays by name")
    model = open_model(source, shapes=shapes, batch=batch)
    if given is None:
        require_complete(model)
        specs, bounds = input_specs(model), _index_bounds(model)
        return model, [random_inputs(specs, seed=seed + i, bounds=bounds) for i in range(RANDOM_SAMPLES)]
    arrays = _read(given, input_specs(model))
    if model.open_dimensions and model is not source:
        sizes: dict[str, Sequence[int | str]] = {name: array.shape for name, array in arrays.items()}
        model = open_model(source, shapes=sizes)
    require_complete(model)
    return model, [arrays]


def _read(
    given: Mapping[str, Any] | str | os.PathLike[str], specs: Mapping[str, TensorSpec]
) -> dict[str, NDArray[Any]]:
    if isinstance(given, Mapping):
        return _checked({name: np.asarray(array) for name, array in given.items()}, specs)
    return read_inputs(Path(given), specs)


def _checked(arrays: dict[str, NDArray[Any]], specs: Mapping[str, TensorSpec]) -> dict[str, NDArray[Any]]:
    remedy = "the model takes " + ", ".join(f"{n}: {s.dtype}{list(s.shape)}" for n, s in specs.items())
    if set(arrays) != set(specs):
        raise InputError(f"inputs are called {sorted(arrays)}, expected {sorted(specs)}", remedy)
    for name, spec in specs.items():
        array = arrays[name]
        if array.dtype.name.replace("_", "") != spec.dtype:
            raise InputError(f"input {name!r} has element type {array.dtype}, expected {spec.dtype}", remedy)
        fits = array.ndim == len(spec.shape) and all(
            not isinstance(want, int) or want == found for want, found in zip(spec.shape, array.shape, strict=True)
        )
        if not fits:
            raise InputError(f"input {name!r} has shape {list(array.shape)}, expected {list(spec.shape)}", remedy)
    return arrays


_PASSES_INDICES = {"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Transpose", "Slice"}


def _index_bounds(model: Model) -> dict[str, tuple[int, int]]:
    """For integer inputs that look something up: the rows of the smallest table they reach."""
    bounds: dict[str, tuple[int, int]] = {}
    for value in model.ir.graph.inputs:
        rows = _table_rows(value, depth=8)
        if rows:
            bounds[value.name or ""] = (0, max(1, min(rows)))
    return bounds


def _table_rows(value: onnx_ir.Value, depth: int) -> list[int]:
    found: list[int] = []
    for node, position in value.uses():
        if node.op_type in ("Gather", "GatherElements") and position == 1:
            table = value_type(node.inputs[0])
            axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
            if isinstance(table, TensorType) and table.dims is not None and isinstance(table.dims[axis], int):
                found.append(int(table.dims[axis]))
        elif node.op_type == "OneHot" and position == 0:
            continue
        elif depth and node.op_type in _PASSES_INDICES and position == 0 and node.outputs:
            found += _table_rows(node.outputs[0], depth - 1)
    return found
