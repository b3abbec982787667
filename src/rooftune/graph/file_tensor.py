"""Tensors whose values stay in a file until somebody asks for them."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.stored_tensor import StoredTensor

__all__ = ["FileTensor", "MappedFile", "Region", "VarintTensor", "unpack"]

CHUNK = 1 << 22


class MappedFile:
    """A file that is mapped into memory on first use; tensors of one file share one mapping."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._data: mmap.mmap | None = None

    @property
    def data(self) -> mmap.mmap:
        if self._data is None:
            try:
                with self.path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    if size >= self.size:
                        self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as why:
                raise InputError(
                    f"{self.path} cannot be read any more: {why}", "put the file back and load the model again"
                ) from why
        if self._data is None:
            raise InputError(f"{self.path} became shorter since it was loaded", "load the model again")
        return self._data

    def __deepcopy__(self, memo: dict[int, Any]) -> MappedFile:
        return self  # the file is only ever read

    def __reduce__(self) -> tuple[type[MappedFile], tuple[Path]]:
        return MappedFile, (self.path,)


@dataclass(frozen=True)
class Region:
    """Bytes of a file."""

    file: MappedFile
    offset: int
    length: int

    @property
    def data(self) -> memoryview:
        """The bytes, not copied."""
        if not self.length:
            return memoryview(b"")
        return memoryview(self.file.data)[self.offset : self.offset + self.length]


class FileTensor(StoredTensor):
    """A tensor that lies, little-endian and packed, in a region of a file.

    `numpy()` is a read-only view of the file; nothing is read before. `external` tells data in a file of its own
    from data inside the model file.
    """

    raw: Region

    def __init__(
        self,
        region: Region,
        dtype: ir.DataType,
        shape: ir.Shape,
        name: str | None,
        *,
        external: bool = False,
        **notes: Any,
    ) -> None:
        super().__init__(dtype, shape, name, **notes)
        self.raw, self.external = region, external

    def packed(self) -> memoryview:
        """The packed bytes of the values."""
        return self.raw.data

    def numpy(self) -> npt.NDArray[Any]:
        return unpack(self.packed(), self.dtype, self.shape.numpy())

    def tobytes(self) -> bytes:
        return bytes(self.packed())

    def tofile(self, file: IO[bytes]) -> None:
        packed = self.packed()
        for start in range(0, len(packed), CHUNK):
            file.write(packed[start : start + CHUNK])


class VarintTensor(FileTensor):
    """A tensor stored as protobuf varints (`int32_data`, `int64_data`, `uint64_data`); decoded when asked for."""

    def packed(self) -> memoryview:
        numbers = decode_varints(np.frombuffer(self.raw.data, np.uint8))
        width = self.dtype.bitwidth
        count = self.size if width >= 8 else self.nbytes
        if len(numbers) != count:
            raise InputError(
                f"the tensor {self.name} holds {len(numbers)} numbers where its shape asks for {count}",
                "export the model again",
            )
        return memoryview(numbers.astype(f"<u{max(width, 8) // 8}").tobytes())


def decode_varints(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The numbers of a run of protobuf varints, as 64-bit patterns."""
    ends = np.flatnonzero(data < 0x80)
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        raise InputError("a tensor ends in the middle of a number", "export the model again")
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    lengths = ends - starts + 1
    if len(ends) and lengths.max() > 10:
        raise InputError("a tensor holds a number of more than 64 bits", "export the model again")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max()) if len(ends) else 0):
        has = lengths > place
        part = (data[starts[has] + place] & 0x7F).astype(np.uint64)
        values[has] |= part << np.uint64(7 * place)
    return values


def unpack(raw: Any, dtype: ir.DataType, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An array of `dtype` and `shape` over packed little-endian bytes; types below 8 bits are spread to one each."""
    if dtype.bitwidth >= 8:
        array: npt.NDArray[Any] = np.frombuffer(raw, np.dtype(dtype.numpy()).newbyteorder("<"))
        return array.reshape(shape)
    per_byte = 8 // dtype.bitwidth
    if dtype.bitwidth not in (2, 4):
        raise InputError(f"tensors of {dtype.name} cannot be read", "store the tensor in another format")
    packed = np.frombuffer(raw, np.uint8)
    count = int(np.prod(shape))
    spread = np.empty(len(packed) * per_byte, np.uint8)
    for place in range(per_byte):
        spread[place::per_byte] = (packed >> (place * dtype.bitwidth)) & ((1 << dtype.bitwidth) - 1)
    spread = spread[:count]
    if dtype in (ir.DataType.INT4, ir.DataType.INT2):
        sign = 1 << (dtype.bitwidth - 1)
        signed = (spread.astype(np.int8) ^ sign) - sign
        return signed.astype(np.dtype(dtype.numpy())).reshape(shape)
    if dtype == ir.DataType.FLOAT4E2M1:
        return np.asarray(spread.view(ml_dtypes.float4_e2m1fn).reshape(shape))
    return spread.astype(np.dtype(dtype.numpy())).reshape(shape)
