"""A tensor whose file is not there: its shape is known, its values are not."""

from __future__ import annotations

from typing import Any, NoReturn

import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.stored_tensor import StoredTensor

__all__ = ["MissingTensor"]


class MissingTensor(StoredTensor):
    """Stands for external data that is missing; asking for its values raises `InputError`."""

    def __init__(
        self, location: str, offset: int, dtype: ir.DataType, shape: ir.Shape, name: str | None, **notes: Any
    ) -> None:
        super().__init__(dtype, shape, name, **notes)
        self.raw, self.offset = location, offset

    def numpy(self) -> NoReturn:
        raise InputError(
            f"the values of {self.name} are in {self.raw}, which is missing", "put the data file beside the model"
        )

    def tobytes(self) -> NoReturn:
        self.numpy()
