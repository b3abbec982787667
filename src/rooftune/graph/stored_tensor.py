"""What every tensor that is not held in memory has in common: a name, a type, a shape and notes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["StoredTensor"]


class StoredTensor(ABC):
    """A tensor in the sense of `onnx_ir.TensorProtocol` whose values are fetched when asked for.

    `raw` is cheap and never fails: onnx_ir looks at it whenever it asks whether this is a tensor.
    """

    raw: Any = None

    def __init__(
        self,
        dtype: ir.DataType,
        shape: ir.Shape,
        name: str | None,
        *,
        doc_string: str | None = None,
        metadata_props: dict[str, str] | None = None,
    ) -> None:
        self._dtype, self._shape = dtype, shape
        shape.freeze()
        self.name = name
        self.doc_string = doc_string
        self.metadata_props = metadata_props if metadata_props is not None else {}
        self.meta: dict[str, Any] = {}

    @property
    def dtype(self) -> ir.DataType:
        return self._dtype

    @property
    def shape(self) -> ir.Shape:
        return self._shape

    @property
    def size(self) -> int:
        return math.prod(self._shape.numpy())

    @property
    def nbytes(self) -> int:
        return -(-self.size * self._dtype.bitwidth // 8)

    @abstractmethod
    def numpy(self) -> npt.NDArray[Any]:
        """The values."""

    @abstractmethod
    def tobytes(self) -> bytes:
        """The values, little-endian and packed."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, *, stream: Any = None) -> Any:
        return np.array(self.numpy()).__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # main memory

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{self._dtype},{self._shape}>(name={self.name!r})"
