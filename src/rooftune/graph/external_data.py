"""Where the bytes of a tensor stored outside the model file are, and whether they may be read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from rooftune.errors import InputError
from rooftune.graph.file_tensor import MappedFile

__all__ = ["ExternalData", "ExternalRegion"]


@dataclass(frozen=True)
class ExternalRegion:
    """A region of a file beside the model; `file` is None where the file is missing."""

    file: MappedFile | None
    location: str
    offset: int
    length: int


class ExternalData:
    """The files beside one model; every file is looked at once."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._files: dict[str, MappedFile | None] = {}

    def region(self, label: str, tensor: onnx.TensorProto, nbytes: int) -> ExternalRegion:
        """The region of an external tensor of `nbytes` bytes; raises `InputError` where it cannot be right."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if not location:
            raise InputError(f"the external data of {label} names no file", "save the model with its weights again")
        offset = _number(label, "offset", entries.get("offset", "0"))
        length = _number(label, "length", entries.get("length", str(nbytes)))
        if length != nbytes:
            raise InputError(
                f"the external data of {label} has {length} bytes, its shape and type ask for {nbytes}",
                "save the model with its weights again",
            )
        if location not in self._files:
            self._files[location] = self._open(label, location)
        file = self._files[location]
        if file is not None and offset + length > file.size:
            raise InputError(
                f"the external data of {label} ends at byte {offset + length} of {location}, "
                f"which has {file.size} bytes",
                "copy the whole data file beside the model",
            )
        return ExternalRegion(file, location, offset, length)

    def _open(self, label: str, location: str) -> MappedFile | None:
        remedy = "put the data file into the model's folder and save the model with a relative name"
        if self.folder is None:
            raise InputError(f"{label} has external data, but the model has no folder", "load the model from its file")
        absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
        if absolute or "\0" in location or ".." in location.replace("\\", "/").split("/"):
            raise InputError(f"the external data of {label} leaves the model's folder: {location!r}", remedy)
        path = self.folder / location
        try:
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(os.path.realpath(self.folder)):
                raise InputError(f"the external data of {label} leads out of the model's folder: {location!r}", remedy)
            if not real.exists():
                return None
            if not real.is_file():
                raise InputError(f"the external data of {label} is no file: {location!r}", remedy)
            return MappedFile(real)
        except (OSError, ValueError) as why:
            raise InputError(f"the external data of {label} cannot be opened: {why}", remedy) from why


def _number(label: str, key: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InputError(
            f"the external data of {label} has the {key} {text[:40]!r}", "save the model with its weights again"
        )
    return int(text)
