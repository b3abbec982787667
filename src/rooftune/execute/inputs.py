"""Inputs to run a model with: drawn at random to its types, or read from a file and checked."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from rooftune.errors import InputError
from rooftune.execute.backend import TensorSpec
from rooftune.execute.frames import decode_dtype

__all__ = ["random_inputs", "read_inputs"]

INTEGER_BOUND = 8  # exclusive: inside any table a model of use looks up
MAX_FILE_BYTES = 8 << 30


def random_inputs(
    specs: Mapping[str, TensorSpec],
    *,
    seed: int = 0,
    bounds: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, NDArray[Any]]:
    """Arrays of the types and shapes asked for, the same for the same seed.

    Floats are normally distributed (never all zero), integers uniform in `bounds[name]` = [low, high) or in
    [0, 8) where nothing is said, booleans fair. Each input has a stream of its own, so adding one changes no
    other. Raises InputError for open dimensions and for types that cannot be drawn (strings).
    """
    drawn: dict[str, NDArray[Any]] = {}
    for name, spec in specs.items():
        shape = _closed_shape(name, spec)
        stream = np.random.default_rng([seed, *name.encode()])
        drawn[name] = _draw(stream, name, spec.dtype, shape, (bounds or {}).get(name, (0, INTEGER_BOUND)))
    return drawn


def _closed_shape(name: str, spec: TensorSpec) -> tuple[int, ...]:
    shape: list[int] = []
    for dim in spec.shape:
        if not isinstance(dim, int):
            text = _shape_text(spec.shape)
            raise InputError(
                f"input {name!r} has the open shape {text}", f"bind it: --shape {name}={text.replace('?', '1')}"
            )
        shape.append(dim)
    return tuple(shape)


def _draw(
    stream: np.random.Generator, name: str, dtype: str, shape: tuple[int, ...], bounds: tuple[int, int]
) -> NDArray[Any]:
    if dtype == "bool":
        return np.asarray(stream.integers(0, 2, shape), dtype=np.bool_)
    if dtype.startswith("complex"):
        parts = stream.standard_normal((2, *shape))
        return np.asarray(parts[0] + 1j * parts[1], dtype=np.dtype(dtype))
    if dtype.startswith(("float", "bfloat")):
        wide = stream.standard_normal(shape, dtype=np.float32)
        return np.asarray(wide, dtype=_numpy_dtype(name, dtype))
    if dtype.startswith(("int", "uint")):
        target = _numpy_dtype(name, dtype)
        low, high = bounds
        if dtype in ("uint2", "int2", "int4", "uint4"):
            low, high = max(low, 0), min(high, 2 if dtype == "int2" else 4)
        return np.asarray(stream.integers(low, max(high, low + 1), shape)).astype(target)
    raise InputError(f"input {name!r} is of type {dtype}, which is not drawn at random", "give it: --input FILE.npz")


def _numpy_dtype(name: str, dtype: str) -> np.dtype[Any]:
    spelled = {
        "float8e4m3fn": "float8_e4m3fn",
        "float8e4m3fnuz": "float8_e4m3fnuz",
        "float8e5m2": "float8_e5m2",
        "float8e5m2fnuz": "float8_e5m2fnuz",
        "float8e8m0": "float8_e8m0fnu",
        "float4e2m1": "float4_e2m1fn",
    }
    try:
        return decode_dtype(spelled.get(dtype, dtype))
    except (AttributeError, TypeError):
        raise InputError(
            f"input {name!r} is of type {dtype}, which NumPy cannot hold", "run a model with another input type"
        ) from None


def read_inputs(path: Path, expected: Mapping[str, TensorSpec]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, checked against what the model expects.

    Raises InputError, listing what is expected, for a file that is no .npz, is larger than its own entries
    say, holds objects, or whose names, ranks, element types or fixed dimensions differ.
    """
    remedy = "the model expects " + (
        ", ".join(f"{n}: {s.dtype}{_shape_text(s.shape, brackets=True)}" for n, s in expected.items()) or "no inputs"
    )
    arrays = _read_archive(path, remedy)
    for name in sorted(set(arrays) - set(expected)):
        raise InputError(f"{path.name} holds {name!r}, which is no input of the model", remedy)
    for name in expected:
        if name not in arrays:
            raise InputError(f"{path.name} has no array called {name!r}", remedy)
    return {name: _fitting(path, name, arrays[name], spec, remedy) for name, spec in expected.items()}


def _read_archive(path: Path, remedy: str) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = sum(info.file_size for info in archive.infolist())
            if sizes > MAX_FILE_BYTES:
                raise InputError(f"{path.name} unpacks to {sizes} bytes", f"give at most {MAX_FILE_BYTES} bytes")
            return {info.filename.removesuffix(".npy"): _read_array(archive, info) for info in archive.infolist()}
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", "give the path of an .npz file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder", "give the path of an .npz file") from None
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, SyntaxError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path.name} is not a readable .npz file: {reason}", remedy) from None


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; its header must fit the bytes that are really there, before anything is allocated."""
    with archive.open(info) as member:
        version = npy.read_magic(member)
        reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if reader is None:
            raise ValueError(f"{info.filename} is of array format {version}")
        shape, fortran, dtype = reader(member)
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds Python objects")
        elements = 1
        for dim in shape:
            elements *= int(dim)
        declared = elements * dtype.itemsize
        if declared > info.file_size:
            raise ValueError(f"{info.filename} declares {declared} bytes and holds {info.file_size}")
        data = np.frombuffer(bytearray(member.read(declared)), dtype=dtype)
        return data.reshape(shape, order="F" if fortran else "C")


def _fitting(path: Path, name: str, array: NDArray[Any], spec: TensorSpec, remedy: str) -> NDArray[Any]:
    wanted = _numpy_dtype(name, spec.dtype)
    if array.dtype.kind == "V" and array.dtype.itemsize == wanted.itemsize:
        array = array.view(wanted)  # the file format has no name for the small floats and stores their bytes
    if array.dtype.newbyteorder("=") != wanted:
        raise InputError(f"{name!r} in {path.name} is of type {array.dtype}, expected {spec.dtype}", remedy)
    if array.ndim != len(spec.shape):
        raise InputError(f"{name!r} in {path.name} has rank {array.ndim}, expected {len(spec.shape)}", remedy)
    if any(isinstance(want, int) and want != got for want, got in zip(spec.shape, array.shape)):
        found = _shape_text(array.shape)
        raise InputError(f"{name!r} in {path.name} has shape {found}, expected {_shape_text(spec.shape)}", remedy)
    return np.ascontiguousarray(array, dtype=wanted)


def _shape_text(shape: tuple[int | str | None, ...], brackets: bool = False) -> str:
    text = ("," if brackets else "x").join("?" if d is None else str(d) for d in shape)
    return f"[{text}]" if brackets else text or "scalar"
