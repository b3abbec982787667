"""Messages between us and a worker process: a JSON header and the raw bytes of arrays, both with their length first."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "FrameError", "decode_dtype", "encode", "read_frame"]

_LENGTHS = struct.Struct("<QQ")
MAX_HEADER_BYTES = 256 << 20
MAX_ARRAY_BYTES = 64 << 30


class FrameError(Exception):
    """The bytes received are not a message."""


@dataclass(frozen=True)
class Frame:
    """One message: `body` is plain JSON, `arrays` are tensors by name."""

    body: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def decode_dtype(name: str) -> np.dtype[Any]:
    """The NumPy type called `name`, small floats and 4-bit integers included."""
    try:
        found: np.dtype[Any] = np.dtype(name)
    except TypeError:
        import ml_dtypes

        found = np.dtype(getattr(ml_dtypes, name))
    return found


def encode(frame: Frame) -> list[memoryview]:
    """The parts of a message, to be written one after the other; array bytes are not copied."""
    described: list[dict[str, Any]] = []
    parts: list[memoryview] = []
    for name, array in frame.arrays.items():
        if array.dtype.kind in "OUST":
            described.append({"name": name, "shape": list(array.shape), "text": [str(v) for v in array.ravel()]})
            continue
        packed = np.ascontiguousarray(array)
        described.append({"name": name, "shape": list(array.shape), "dtype": packed.dtype.name})
        if packed.nbytes:
            parts.append(memoryview(packed.reshape(-1).view(np.uint8).data))
    header = json.dumps({"body": dict(frame.body), "arrays": described}).encode()
    lengths = _LENGTHS.pack(len(header), sum(p.nbytes for p in parts))
    return [memoryview(lengths), memoryview(header), *parts]


def read_frame(read: Callable[[int], bytearray | bytes]) -> Frame:
    """The next message; `read(n)` returns exactly n bytes or raises EOFError.

    Raises FrameError for lengths or descriptions that do not fit together.
    """
    header_bytes, array_bytes = _LENGTHS.unpack(read(_LENGTHS.size))
    if header_bytes > MAX_HEADER_BYTES or array_bytes > MAX_ARRAY_BYTES:
        raise FrameError(f"a message of {header_bytes} + {array_bytes} bytes is not one of ours")
    header = json.loads(bytes(read(header_bytes)))
    payload = memoryview(read(array_bytes)) if array_bytes else memoryview(b"")
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for item in header["arrays"]:
        shape = tuple(int(d) for d in item["shape"])
        if "text" in item:
            arrays[item["name"]] = np.array(item["text"], dtype=object).reshape(shape)
            continue
        dtype = decode_dtype(item["dtype"])
        size = math.prod(shape) * dtype.itemsize
        if at + size > len(payload):
            raise FrameError(f"the bytes of {item['name']!r} are missing")
        arrays[item["name"]] = np.frombuffer(payload[at : at + size], dtype=np.uint8).view(dtype).reshape(shape)
        at += size
    return Frame(body=header["body"], arrays=arrays)
