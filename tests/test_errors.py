"""Errors are one line whatever the name in the file."""

from __future__ import annotations

from rooftune.errors import InputError


def test_cause_with_control_characters_is_one_printable_line() -> None:
    error = InputError("operator \nelu\x1b[31m of node \u2028x", "export\tagain")
    assert str(error) == r"operator \nelu\x1b[31m of node \u2028x — export\tagain"
    assert error.cause.isprintable()
