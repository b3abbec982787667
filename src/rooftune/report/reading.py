"""Reading a record that may lack anything: tolerant access, and text that is safe to show.

Every field of a record may be missing, null, a number, or a string (an expression of open dimensions, or a
name somebody chose). These functions never raise: what cannot be read is absent, never zero.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rooftune.quantities import si, time_text

__all__ = [
    "ABSENT",
    "amount",
    "byte_size",
    "duration",
    "factor",
    "number",
    "operations_unit",
    "percent",
    "positive",
    "ratio",
    "rows",
    "section",
    "settings_text",
    "shortened",
    "small",
    "three",
    "whole",
    "words",
]

ABSENT = "–"
"""What a table shows where nothing is known."""

_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def number(value: object) -> float | None:
    """The value as a finite number, or None: text, truth values, NaN and infinities are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def positive(value: object) -> float | None:
    """The value where it is a finite number above zero: what can stand on a logarithmic axis."""
    found = number(value)
    return found if found is not None and found > 0 else None


def section(value: object, *path: str) -> Mapping[str, Any]:
    """The mapping under `path`, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Mapping[str, Any]]:
    """The mappings in a list; anything else is dropped."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [row for row in value if isinstance(row, Mapping)]
    return []


def words(value: object) -> str:
    """Text for people, in one line and without control or direction-changing characters; empty for null.

    A name in a model may hold terminal escapes, line breaks, or marks that reorder what is read.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return whole(value) if value.is_integer() else three(value)
    if isinstance(value, Mapping):
        return settings_text(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(words(item) for item in value)
    return " ".join("".join(map(_visible, str(value))).split())


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if character in _DIRECTION_MARKS or unicodedata.category(character) in {"Cc", "Cs"}:
        return "\ufffd"
    return character


def shortened(text: str, limit: int) -> str:
    """The text with its middle cut out where it is longer than `limit`: the ends of node names tell most."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 5
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def settings_text(settings: object) -> str:
    """`precision f32, streams 1`."""
    if not isinstance(settings, Mapping):
        return ""
    return ", ".join(f"{words(key)} {words(value)}".strip() for key, value in settings.items())


def three(value: float) -> str:
    """Three significant digits without a unit."""
    if not math.isfinite(value):
        return ABSENT
    return si(value, "") if 1e-3 <= abs(value) < 1e18 or value == 0 else f"{value:.3g}"


def amount(value: object, unit: str = "") -> str:
    """`4.09 GFLOP`; an expression of open dimensions stays as it is; a dash where nothing is known."""
    found = number(value)
    if found is not None:
        tiny_or_huge = found != 0 and not 1e-3 <= abs(found) < 1e18
        return f"{found:.3g} {unit}".rstrip() if tiny_or_huge else si(found, unit)
    if isinstance(value, str) and value.strip():
        return f"{words(value)} {unit}".rstrip()
    return ABSENT


def byte_size(value: object) -> str:
    """Capacity in binary units, as caches are built: `32 KiB`, `1.25 MiB`."""
    found = positive(value)
    if found is None:
        return ABSENT
    for scale, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if found >= scale:
            return f"{found / scale:.4g} {unit}"
    return f"{found:.4g} B"


def whole(value: object) -> str:
    """A count of things (threads, runs, nodes) in full: `2`, `1,024`."""
    found = number(value)
    if found is None or not found.is_integer() or abs(found) >= 1e7:
        return amount(value)
    return f"{int(found):,}"


def ratio(value: object) -> str:
    """Three significant digits; an expression as it is; a dash where nothing is known."""
    found = number(value)
    return amount(value) if found is None else three(found)


def duration(value: object) -> str:
    """`3.21 ms`; a dash where nothing is known."""
    found = number(value)
    if found is None:
        return amount(value, "s") if isinstance(value, str) else ABSENT
    if found != 0 and abs(found) < 1e-10:
        return f"{found:.3g} s"
    return time_text(found) if abs(found) < 1e6 else f"{found:.3g} s"


def percent(value: object) -> str:
    """A share as `70.9 %`."""
    found = number(value)
    if found is None:
        return ABSENT
    if 0 < abs(found) < 0.0005:
        return "< 0.1 %" if found > 0 else "> −0.1 %"
    if abs(found) > 1e6:
        return f"{100 * found:.3g} %"
    text = f"{100 * found:.1f}".replace("-", "−")
    return f"{text.removesuffix('.0') if abs(found) in {0, 1} else text} %"


def factor(value: object) -> str:
    """A gain as `1.52×`."""
    found = number(value)
    if found is None:
        return ABSENT
    if abs(found) >= 1e4:
        return f"{found:.3g}×"
    return f"{found:.2f}×" if abs(found) < 100 else f"{found:.0f}×"


def small(value: object) -> str:
    """An error as `3.1e-6`."""
    found = number(value)
    if found is None:
        return ABSENT
    if found == 0:
        return "0"
    mantissa, _, exponent = f"{found:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if abs(found) < 1e-2 or abs(found) >= 1e4 else f"{found:.3g}"


def operations_unit(number_format: str) -> str:
    """`FLOP/s`, or `OP/s` for the integer formats (1 MAC = 2 in both)."""
    return "OP/s" if number_format.startswith(("int", "uint")) else "FLOP/s"
