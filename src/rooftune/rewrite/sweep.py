"""A sweep: a rewrite that looks at a whole graph at once, such as the removal of dead code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.rewrite.journal import Applied
from rooftune.verdicts import Exactness

if TYPE_CHECKING:
    from rooftune.rewrite.edit import Workplace
    from rooftune.rewrite.rule import Example

__all__ = ["Evaluate", "Sweep"]


class Evaluate(Protocol):
    """Runs a model without inputs, as the reference would, and gives its outputs by name."""

    def __call__(self, model: ir.Model) -> Mapping[str, NDArray[Any]]: ...


class Sweep(ABC):
    """A rewrite of whole graphs. The docstring's first line says what it does."""

    exactness: ClassVar[Exactness] = Exactness.BITWISE
    examples: ClassVar[tuple[Example, ...]]

    @property
    def name(self) -> str:
        """The sweep's name everywhere: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def title(self) -> str:
        return (type(self).__doc__ or "").strip().splitlines()[0]

    @abstractmethod
    def run(self, place: Workplace) -> list[Applied]:
        """Rewrite the model in place once; what was done. `place.refuse` says why something was left."""
