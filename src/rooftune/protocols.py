"""What lower layers are handed from above: a runner, a clock, a store, progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["Arrays", "Clock", "Progress", "Runner", "SilentProgress", "Store"]

Arrays = Mapping[str, NDArray[Any]]
"""Tensors by name."""


class Runner(Protocol):
    """Runs a model once: inputs by name in, outputs by name out."""

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]: ...


class Clock(Protocol):
    """Times something: seconds of each of `repeats` calls of `run`."""

    def __call__(self, run: Any, repeats: int) -> Sequence[float]: ...


class Store(Protocol):
    """Remembers JSON-like values by key across runs; safe for several processes."""

    def get(self, key: str) -> Any | None: ...

    def put(self, key: str, value: Any) -> None: ...


class Progress(Protocol):
    """Tells the user how far a long piece of work is."""

    def stage(self, text: str) -> AbstractContextManager[None]:
        """Show `text` while the block runs."""
        ...

    def update(self, text: str, done: float | None = None) -> None:
        """Say what is happening now; `done` is a share in 0..1 when it is known."""
        ...


class SilentProgress:
    """Progress for callers who do not want any."""

    def stage(self, text: str) -> AbstractContextManager[None]:
        from contextlib import nullcontext

        return nullcontext()

    def update(self, text: str, done: float | None = None) -> None:
        return None
