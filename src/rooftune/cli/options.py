"""Options several commands share, and how their text is read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rooftune.errors import InputError

__all__ = [
    "BackendGroups",
    "Batch",
    "ExactnessOption",
    "InputFile",
    "Json",
    "MachineName",
    "ModelPath",
    "NumberFormat",
    "ReportFile",
    "Seed",
    "Shapes",
    "Threads",
    "check_output_file",
    "read_seconds",
    "read_shapes",
]

ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", help="Use exactly N threads. Default: all usable cores.", show_default=False
    ),
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", help="Size of the first dimension of every input.", show_default=False),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME=DIMS",
        help="Shape of an input, such as input=1x3x224x224; may be repeated.",
        show_default=False,
    ),
]
ExactnessOption = Annotated[
    str,
    typer.Option(
        "--exactness",
        metavar="KIND",
        help="reassociates: the formulas as written, in another order at most. approximates: Winograd's too.",
    ),
]
MachineName = Annotated[
    str,
    typer.Option(
        "--machine", "-m", metavar="NAME", help="`host`, a machine of `rooftune machine list`, or a TOML file."
    ),
]
BackendGroups = Annotated[
    str, typer.Option("--groups", metavar="BACKEND", help="Whose fused kernels to use: onnxruntime, openvino or none.")
]
NumberFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="Take the model in fp32, fp16, bf16, int8, ...", show_default=False
    ),
]

InputFile = Annotated[
    Path | None,
    typer.Option(
        "--input", metavar="FILE.npz", help="Inputs to verify and time with. Default: random.", show_default=False
    ),
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Also write the HTML page here.", show_default=False)
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random inputs.")]

_SHAPE = re.compile(r"(?P<name>.+)=(?P<dims>[^=]*)")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?")
_UNITS = {"ms": 1e-3, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def read_shapes(texts: Sequence[str] | None) -> dict[str, list[int | str]]:
    """`input=1x3x224x224` → {"input": [1, 3, 224, 224]}; a word keeps a dimension open under that name."""
    shapes: dict[str, list[int | str]] = {}
    for text in texts or ():
        match = _SHAPE.fullmatch(text.strip())
        if match is None:
            raise InputError(f"--shape {text!r} is not NAME=DIMS", "write it like --shape input=1x3x224x224")
        parts = re.split(r"[x,]", match["dims"]) if match["dims"] else []
        dims: list[int | str] = []
        for part in parts:
            if re.fullmatch(r"-?\d+", part):
                if int(part) < 0:
                    raise InputError(f"--shape {text!r} has a negative dimension", "give sizes of 0 or more")
                dims.append(int(part))
            elif re.fullmatch(r"[A-Za-z_]\w*", part):
                dims.append(part)
            else:
                raise InputError(f"--shape {text!r}: {part!r} is no size", "write it like --shape input=1x3x224x224")
        shapes[match["name"]] = dims
    return shapes


def read_seconds(text: str, option: str = "--budget", other: str = "") -> float:
    """`60s`, `2m`, `500ms`, `90` → seconds; `other` is what the option takes besides."""
    match = _SECONDS.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        instead = f", or {option} {other}" if other else ""
        raise InputError(f"{option} {text!r} is no length of time", f"write it like {option} 60s{instead}")
    return float(match[1]) * _UNITS[match[2]]


def check_output_file(path: Path | None) -> None:
    """Refuse a file that cannot be written before any work is done."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        raise InputError(f"{path} is a folder", "give the name of a file")
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder, so {path.name} cannot be written into it", "create the folder first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write into {folder}", "choose a file in a folder you may write to")
