"""Getting hold of a model and a machine, the model's errors first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rooftune.errors import InputError
from rooftune.execute.probe.stored import home, host_machine, stored_machine
from rooftune.graph.load import load
from rooftune.graph.model import Model
from rooftune.machine.devices import find_machine
from rooftune.machine.spec import Machine
from rooftune.machine.topology import read_topology, usable_threads
from rooftune.protocols import Progress

__all__ = ["HOST", "open_machine", "open_model", "require_complete", "require_threads", "thread_count"]

HOST = "host"
_SHOWN = 4
"""Inputs that an error names."""


def open_model(
    source: Any, *, shapes: Mapping[str, Sequence[int | str]] | None = None, batch: int | None = None
) -> Model:
    """A model from the path of an ONNX file, or from PyTorch.

    From PyTorch: `torch.export.export(module, inputs)`, or the pair `(module, inputs)` with example inputs as a
    tuple. A `Model` that was loaded already is handed back. InputError for anything else.
    """
    if isinstance(source, Model):
        return source
    if isinstance(source, str | os.PathLike):
        return load(Path(source), shapes=shapes, batch=batch)
    module, examples = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
    if hasattr(module, "state_dict"):
        from rooftune.graph.sources.torch import from_torch

        return from_torch(module, examples)
    raise InputError(
        f"expected the path of an ONNX file or a PyTorch model, found {type(source).__name__}",
        "give a path, `torch.export.export(module, inputs)`, or the pair (module, inputs)",
    )


def open_machine(name: str | Machine, progress: Progress) -> Machine:
    """The machine called `name`; `host` is this one, probed once and remembered."""
    if isinstance(name, Machine):
        return name
    if name == HOST:
        return stored_machine(quick=True) or host_machine(progress)
    return find_machine(name, home())


def thread_count(threads: int | None) -> int:
    """Threads to use: what was asked for, else every usable core. InputError when more are asked for than there are."""
    usable = usable_threads(read_topology())
    if threads is None:
        return usable
    if threads < 1:
        raise InputError(f"--threads {threads} is no number of threads", "give 1 or more")
    if threads > usable:
        raise InputError(
            f"--threads {threads} is more than the {usable} cores this process may use",
            f"give at most {usable} (affinity, cpuset and quota are respected)",
        )
    return threads


def require_threads(machine: Machine, threads: int | None) -> None:
    """InputError unless the machine has that many threads; one that does not say takes any number."""
    if threads is not None and machine.threads is not None and threads > machine.threads:
        raise InputError(
            f"--threads {threads} is more than the {machine.threads} of {machine.name}",
            f"give at most {machine.threads}",
        )


def require_complete(model: Model, *, data: bool = True) -> None:
    """InputError unless the model can be run: its weights are there and its inputs have sizes.

    data  False where nobody can give data, whose shapes would bind open dimensions
    """
    if model.missing_data:
        names = ", ".join(model.missing_data[:3])
        count = len(model.missing_data)
        raise InputError(
            f"the data of {count} weight{'s' if count > 1 else ''} is missing ({names})",
            "put the external data files beside the model",
        )
    open_ones = model.open_dimensions
    if open_ones:
        shapes = {name: getattr(kind, "dims", None) or () for name, kind in model.inputs.items()}
        raise InputError(
            f"the inputs have open dimensions: {', '.join(open_ones)}",
            f"bind them with {' or '.join(_bindings(shapes))}" + (", or give data with --input" if data else ""),
        )


def _bindings(shapes: Mapping[str, Sequence[object]]) -> list[str]:
    """Options that bind every open dimension: `--batch` where all are the first ones, and a shape for each input."""
    open_inputs = {name: dims for name, dims in shapes.items() if not all(isinstance(d, int) for d in dims)}
    wanted = []
    if all(isinstance(d, int) for dims in open_inputs.values() for d in dims[1:]):
        wanted.append("--batch N")
    texts = [
        f"--shape {name}={'x'.join(str(d) if isinstance(d, int) else '1' for d in dims)}"
        for name, dims in list(open_inputs.items())[:_SHOWN]
    ]
    if texts:
        wanted.append(" ".join(texts) + (" ..." if len(open_inputs) > _SHOWN else ""))
    return wanted
