"""Writing networks of the zoo as ONNX files."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_ir
from onnx_ir.passes import common

from rooftune.errors import InputError
from rooftune.zoo.catalog import build, example_inputs, input_names

__all__ = ["export"]


def export(name: str, path: str | Path, batch: int = 1, *, seed: int = 0, fold_batchnorm: bool = False) -> Path:
    """Write a network with seeded random weights to an ONNX file and return its path.

    By default each batch normalisation stays a node of its own and the file holds the parameters that the network
    is published with; with `fold_batchnorm` the exporter merges it into the convolution before it. The file appears
    whole or not at all. Raises `MissingDependency` without torch, `InputError` for an unknown name or an unwritable
    folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model = _graph(name, batch, seed, fold_batchnorm)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".rooftune-zoo-") as folder:
            written = Path(folder) / path.name
            onnx_ir.save(model, written)
            written.replace(path)
    except OSError as why:
        raise InputError(f"cannot write {path}: {why.strerror or why}", "choose a folder that can be written") from why
    return path


def _graph(name: str, batch: int, seed: int, fold_batchnorm: bool) -> onnx_ir.Model:
    module = build(name, seed)
    inputs = example_inputs(name, batch, seed)
    import torch

    with _quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            module,
            inputs,
            input_names=list(input_names(name)),
            dynamo=True,
            optimize=fold_batchnorm,
            verbose=False,
        )
    model: onnx_ir.Model = program.model
    if not fold_batchnorm:
        _tidy(model)
    return model


def _tidy(model: onnx_ir.Model) -> None:
    """What the exporter's optimiser does, short of its rewrites: those would merge batch normalisations."""
    from onnxscript.optimizer import fold_constants

    common.InlinePass()(model)
    _drop_zero_biases(model.graph)
    fold_constants(model, onnx_shape_inference=True, should_fold=_keep_parameters)
    onnx_ir.passes.Sequential(
        common.IdentityEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedOpsetsPass(),
        common.NameFixPass(),
    )(model)


def _keep_parameters(node: onnx_ir.Node) -> bool | None:
    """False for a node that reads learnt numbers, which are to stay in the file as they are; else as by default.

    Transposing loses nothing, so that is left to the default.
    """
    if node.op_type == "Transpose":
        return None
    learnt = any(v is not None and v.is_initializer() and v.dtype == onnx_ir.DataType.FLOAT for v in node.inputs)
    return False if learnt else None


def _drop_zero_biases(graph: onnx_ir.Graph) -> None:
    """Take away the biases of zeros that the exporter computes for convolutions which have none."""
    for node in graph:
        bias = node.inputs[2] if node.op_type == "Conv" and len(node.inputs) == 3 else None
        if bias is not None and bias.producer() is not None:
            node.resize_inputs(2)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and its notes on optional packages off the screen."""
    noise = logging.getLogger("torch.onnx")
    level = noise.level
    noise.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        noise.setLevel(level)
