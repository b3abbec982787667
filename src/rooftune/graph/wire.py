"""Reading the skeleton of an ONNX file: everything but the payloads of large tensors, at no cost per weight byte.

The file is walked in protobuf's wire format over a memory map. Length prefixes say where a field ends, so the
payload of a tensor is stepped over, never read. What remains is a small, valid `ModelProto` in which every large
inline tensor is marked as external data with the location `PAYLOAD_MARK` and, as its offset, its place in the
list of payloads. No file path can contain the mark, and a forged one only reaches payloads of the same file.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass

from rooftune.errors import InputError

__all__ = ["PAYLOAD_MARK", "Payload", "Skeleton", "read_skeleton"]

PAYLOAD_MARK = "\0"
LARGE = 1024
"""Payloads and messages below this many bytes are copied as they are."""

MAX_DEPTH = 100
"""Protobuf's own limit of nested messages."""

MAX_SKELETON = 1 << 30
MAX_TENSOR_FIELDS = 4096

_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING = range(8)

_CHILDREN: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
}

_PAYLOADS = {4: "float_data", 5: "int32_data", 7: "int64_data", 9: "raw_data", 10: "double_data", 11: "uint64_data"}
_EXTERNAL_FIELDS = (13, 14)


_LARGE_ATTRIBUTE = re.compile(rb"\x2a[\x80-\xff]")
"""How an attribute of 128 bytes and more begins: a node without these bytes is copied; much of one are mere notes."""


@dataclass(frozen=True)
class Payload:
    """Where the bytes of one inline tensor lie in the file, and which field of `TensorProto` holds them."""

    field: str
    offset: int
    length: int


@dataclass(frozen=True)
class Skeleton:
    """A serialised `ModelProto` without large payloads, and where those are in the file."""

    model: bytes
    payloads: tuple[Payload, ...]


def read_skeleton(data: mmap.mmap | bytes) -> Skeleton:
    """Copy all but the large tensor payloads of a serialised model; raises `InputError` on a broken file."""
    walk = _Walk(data)
    pieces = walk.message(_MODEL, 0, len(data), 0)
    size = len(data) if pieces is None else sum(map(len, pieces))
    if size > MAX_SKELETON:
        raise InputError(
            f"the file holds {size} bytes besides its weights; at most {MAX_SKELETON} can be read",
            "store the tensors as raw data or external data and save the model again",
        )
    return Skeleton(bytes(data[:]) if pieces is None else b"".join(pieces), tuple(walk.payloads))


class _Walk:
    """One pass over the messages of a file, collecting payloads."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self.data = data
        self.payloads: list[Payload] = []

    def message(self, kind: int, start: int, end: int, depth: int) -> list[bytes] | None:
        """The pieces of a message with payloads cut out, or None where it can be copied as it is."""
        if depth > MAX_DEPTH:
            raise _broken(start, f"messages are nested more than {MAX_DEPTH} deep")
        data, children = self.data, _CHILDREN[kind]
        pieces: list[bytes] = []
        copied = position = start
        while position < end:
            field_start = position
            tag = data[position]
            position += 1
            if tag >= 0x80:
                tag, position = self.varint(field_start, end)
            if tag & 7 != 2:
                position = self.skip(tag, position, end)
                continue
            length, body = (data[position], position + 1) if position < end else (0x80, position)
            if length >= 0x80:
                length, body = self.varint(position, end)
            position = body + length
            if position > end:
                raise _broken(field_start, f"a field of {length} bytes ends behind its message")
            child = children.get(tag >> 3) if length >= LARGE else None
            if child is None or (child == _NODE and not _LARGE_ATTRIBUTE.search(data, body, position)):
                continue
            inner = self.tensor(body, position) if child == _TENSOR else self.message(child, body, position, depth + 1)
            if inner is not None:
                pieces += (data[copied:field_start], _varint_bytes(tag), _varint_bytes(sum(map(len, inner))), *inner)
                copied = position
        if not pieces:
            return None
        pieces.append(data[copied:end])
        return pieces

    def tensor(self, start: int, end: int) -> list[bytes] | None:
        """A `TensorProto` whose one large payload is replaced by a mark; None where it stays as it is."""
        data, position = self.data, start
        found: list[tuple[str, int, int, int]] = []
        for _ in range(MAX_TENSOR_FIELDS):
            if position >= end:
                break
            field_start = position
            tag, position = data[position], position + 1
            if tag >= 0x80:
                tag, position = self.varint(field_start, end)
            if tag & 7 != 2:
                position = self.skip(tag, position, end)
            else:
                length, body = (data[position], position + 1) if position < end else (0x80, position)
                if length >= 0x80:
                    length, body = self.varint(position, end)
                position = body + length
                if position > end:
                    raise _broken(field_start, f"a field of {length} bytes ends behind its tensor")
                if tag >> 3 in _PAYLOADS:
                    found.append((_PAYLOADS[tag >> 3], field_start, body, position))
            if tag >> 3 in _EXTERNAL_FIELDS and not (tag >> 3 == 14 and data[position - 1] == 0):
                return None
        if position < end or len(found) != 1 or found[0][3] - found[0][2] < LARGE:
            return None
        name, field_start, body, after = found[0]
        mark = _LOCATION + _external_data("offset", str(len(self.payloads)))
        self.payloads.append(Payload(name, body, after - body))
        return [data[start:field_start], data[after:end], mark, b"\x70\x01"]  # data_location = EXTERNAL

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """The number at `position` and where it ends; callers look at those of one byte themselves."""
        data, value, shift = self.data, 0, 0
        first = position
        while position < end:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
            if shift > 63:
                raise _broken(first, "a number is longer than 64 bits")
        raise _broken(first, "the file ends in the middle of a number")

    def skip(self, tag: int, position: int, end: int) -> int:
        """The end of a field that is not length-delimited."""
        wire_type = tag & 7
        if tag >> 3 == 0 or wire_type not in (0, 1, 5):
            raise _broken(position, f"field {tag >> 3} has the impossible wire type {wire_type}")
        if wire_type == 0:
            return self.varint(position, end)[1]
        position += 8 if wire_type == 1 else 4
        if position > end:
            raise _broken(position, "the file ends in the middle of a number")
        return position


def _varint_bytes(value: int) -> bytes:
    if value < 0x80:
        return value.to_bytes(1, "little")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _external_data(key: str, value: str) -> bytes:
    entry = b"\x0a" + _varint_bytes(len(key)) + key.encode() + b"\x12" + _varint_bytes(len(value)) + value.encode()
    return b"\x6a" + _varint_bytes(len(entry)) + entry


_LOCATION = _external_data("location", PAYLOAD_MARK)


def _broken(position: int, why: str) -> InputError:
    return InputError(
        f"not a complete ONNX file: at byte {position}, {why}", "export the model again or copy the whole file"
    )
