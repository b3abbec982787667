"""Writing models into a folder: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.identity import weights_of
from rooftune.graph.model import Model

__all__ = ["copy_model", "save_graph"]

MODEL_NAME = "model.onnx"
INLINE_LIMIT = 1 << 30
"""Models with more bytes of weights than this keep them in a file of their own (protobuf ends at 2 GB)."""

KEEP_INLINE = 1024


def copy_model(model: Model, folder: str | Path) -> Path:
    """Copy an unchanged model, byte for byte, as `model.onnx` into a folder, its external data beside it.

    Returns the path of the copy. The model file appears last, so a folder with a `model.onnx` is complete.
    Raises `InputError` where data is missing or the folder cannot be written.
    """
    folder = Path(folder)
    if model.path is None:
        return save_graph(model.ir, folder / MODEL_NAME)
    if model.missing_data:
        raise InputError(
            f"the data of {len(model.missing_data)} tensors is missing, first of all {model.missing_data[0]}",
            "put the data file beside the model",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for location in _external_files(model):
            _copy(model.path.parent / location, folder / location)
        _copy(model.path, folder / MODEL_NAME)
    except OSError as why:
        raise _unwritable(folder, why) from why
    return folder / MODEL_NAME


def save_graph(graph: ir.Model, path: str | Path) -> Path:
    """Write a graph, changed or not, as an ONNX file; weights beyond 1 GB go into `<name>.data` beside it."""
    path = Path(path)
    total = sum(v.const_value.nbytes for v in weights_of(graph.graph) if v.const_value is not None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as scratch:
            written = Path(scratch) / path.name
            if total > INLINE_LIMIT:
                data = f"{path.name}.data"
                ir.save(graph, written, external_data=data, size_threshold_bytes=KEEP_INLINE)
                (Path(scratch) / data).replace(path.parent / data)
            else:
                written.write_bytes(ir.to_proto(graph).SerializeToString())
            written.replace(path)
    except OSError as why:
        raise _unwritable(path.parent, why) from why
    return path


def _external_files(model: Model) -> list[Path]:
    """Files beside the model that its tensors are in, relative to its folder."""
    return list(dict.fromkeys(Path(os.path.normpath(location)) for location in model.data_files))


def _copy(source: Path, target: Path) -> None:
    """Copy a file through the kernel, under another name first."""
    if target.exists() and source.samefile(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, _replacing(target) as writer:
        size = os.fstat(reader.fileno()).st_size
        position = 0
        while position < size:
            try:
                sent = os.sendfile(writer.fileno(), reader.fileno(), position, min(size - position, 1 << 26))
            except (OSError, AttributeError):
                reader.seek(position)
                writer.seek(position)
                shutil.copyfileobj(reader, writer, 1 << 22)
                break
            if sent == 0:
                raise OSError(f"{source} became shorter while it was copied")
            position += sent


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A temporary file in the folder of `target` that takes its place when all is well."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _unwritable(folder: Path, why: OSError) -> InputError:
    return InputError(f"cannot write into {folder}: {why.strerror or why}", "choose a folder that can be written")
