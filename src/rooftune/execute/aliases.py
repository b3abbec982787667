"""Names of tensors that hold the same values in different layouts."""

from __future__ import annotations

__all__ = ["Aliases"]


class Aliases:
    """Classes of equal names, joined pair by pair (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._members: dict[str, list[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._parent

    def note(self, name: str) -> str:
        """The representative of a name, which is known from now on."""
        if name not in self._parent:
            self._parent[name] = name
            self._members[name] = [name]
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def join(self, a: str, b: str) -> None:
        """From now on both names mean the same values."""
        a, b = self.note(a), self.note(b)
        if a != b:
            self._parent[b] = a
            self._members[a] += self._members.pop(b)

    def same(self, name: str) -> list[str]:
        """All names for the same values, this one included."""
        return self._members[self.note(name)]
