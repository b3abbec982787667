"""PyTorch modules and exported programs as models."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rooftune.errors import InputError, MissingDependency
from rooftune.graph.load import load
from rooftune.graph.model import Model
from rooftune.graph.save import save_graph

__all__ = ["from_torch", "write_torch"]


def from_torch(
    module: Any,
    example_inputs: Sequence[Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    opset: int | None = None,
    folder: str | Path | None = None,
) -> Model:
    """Export a `torch.nn.Module` with example inputs, or a `torch.export.ExportedProgram`, and load it.

    `dynamic_shapes` is handed to the exporter and keeps those dimensions open. The ONNX file is kept as
    `model.onnx` in `folder`; without one it lives in a temporary folder until the model is dropped.
    Raises `MissingDependency` without torch and `InputError` where the export fails.
    """
    if folder is not None:
        return load(write_torch(module, Path(folder) / "model.onnx", example_inputs, dynamic_shapes, opset))
    home = tempfile.TemporaryDirectory(prefix="rooftune-torch-")
    model = load(write_torch(module, Path(home.name) / "model.onnx", example_inputs, dynamic_shapes, opset))
    model.ir.meta["rooftune.home"] = home  # removes itself with the model
    return model


def write_torch(
    module: Any,
    path: Path,
    example_inputs: Sequence[Any] | None = None,
    dynamic_shapes: Any = None,
    opset: int | None = None,
) -> Path:
    """Export to an ONNX file and return its path."""
    try:
        import torch
    except ImportError as why:
        raise MissingDependency(
            "reading a PyTorch module needs torch, which is not installed", "pip install rooftune[torch]"
        ) from why
    program = isinstance(module, torch.export.ExportedProgram)
    if not program and not isinstance(module, torch.nn.Module):
        raise InputError(
            f"expected a torch.nn.Module or an ExportedProgram, found {type(module).__name__}",
            "give the module itself, and example inputs",
        )
    if not program and example_inputs is None:
        raise InputError("a torch.nn.Module alone has no shapes", "give example inputs: a tuple of tensors")
    options: dict[str, Any] = {} if opset is None else {"opset_version": opset}
    arguments = () if program else (tuple(example_inputs or ()),)
    if dynamic_shapes is not None and not program:
        options["dynamic_shapes"] = dynamic_shapes
    noise = logging.getLogger("torch.onnx")
    level = noise.level
    noise.setLevel(logging.ERROR)
    training = getattr(module, "training", False)
    try:
        if training:
            module.eval()
        with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            exported = torch.onnx.export(module, *arguments, dynamo=True, verbose=False, **options)
    except Exception as why:  # the exporter raises many types
        reason = next(iter(str(why).strip().splitlines()), type(why).__name__)[:200]
        raise InputError(f"torch cannot export the module: {reason}", "see torch.onnx.export(dynamo=True)") from why
    finally:
        noise.setLevel(level)
        if training:
            module.train()
    if exported is None:
        raise InputError("torch exported nothing", "see torch.onnx.export(dynamo=True)")
    return save_graph(exported.model, path)
