"""Models that somebody may still be running when they are to be closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rooftune.execute.backend import LoadedModel

__all__ = ["Leased"]


class Leased:
    """A loaded model that is closed as soon as nobody runs it any more."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._users = 0
        self._ending = False

    def acquire(self) -> LoadedModel:
        """The model, open until `release`. Raises RuntimeError when it was closed before."""
        with self._lock:
            if self._ending:
                raise RuntimeError("the model is closed")
            self._users += 1
            return self._model

    def release(self) -> None:
        """Done with what `acquire` gave."""
        with self._lock:
            self._users -= 1
            last = self._ending and self._users == 0
        if last:
            self._model.close()

    @contextmanager
    def use(self) -> Iterator[LoadedModel]:
        """The model, open inside the block."""
        model = self.acquire()
        try:
            yield model
        finally:
            self.release()

    def close(self) -> None:
        """Let nobody in any more; those inside finish, and the last of them closes the model."""
        with self._lock:
            last = not self._ending and self._users == 0
            self._ending = True
        if last:
            self._model.close()
