"""What can go wrong, said in one line: the cause, and what to do about it."""

from __future__ import annotations

__all__ = ["ConstraintNotMet", "InputError", "MissingDependency", "RooftuneError"]


class RooftuneError(Exception):
    """Base of every error a user can act on.

    `cause` says what was expected and what was found; `remedy` says what to do.
    `exit_code` is what the command line ends with.
    """

    exit_code = 2

    def __init__(self, cause: str, remedy: str) -> None:
        self.cause, self.remedy = _one_line(cause), _one_line(remedy)
        super().__init__(f"{self.cause} — {self.remedy}")


class InputError(RooftuneError):
    """The model, the data or the options are wrong (exit code 2)."""


class ConstraintNotMet(RooftuneError):
    """The work was done but a constraint the user set does not hold (exit code 1)."""

    exit_code = 1


class MissingDependency(RooftuneError):
    """The environment lacks something; the remedy says what to install (exit code 3)."""

    exit_code = 3


def _one_line(text: str) -> str:
    """Names in a damaged file may hold line breaks and terminal codes: they are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
