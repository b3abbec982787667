"""Machines as TOML files: read with every key and value checked, written whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import math
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rooftune.errors import InputError
from rooftune.machine.spec import FORMATS, STANDINGS, Bandwidth, Level, Machine, Peak, Standing

__all__ = ["KINDS", "LEVELS", "MAX_FILE_BYTES", "machine_text", "parse_machine", "read_machine", "write_machine"]

MAX_FILE_BYTES = 1 << 20
KINDS = ("cpu", "gpu", "npu", "soc")
LEVELS = ("L1", "L2", "L3", "L4", "DRAM")

_MISSING = object()


@dataclass(frozen=True)
class _Key:
    """One key of a table: what it must be in words, and a check that returns the value or None."""

    expected: str
    check: Callable[[Any], Any]
    default: Any = _MISSING


def _number(unit: str, low: float, high: float, default: Any = _MISSING) -> _Key:
    def check(value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value) if low <= value <= high else None

    return _Key(f"a number in {unit} from {low:g} to {high:g}", check, default)


def _whole(unit: str, low: int, high: int, default: Any = _MISSING) -> _Key:
    def check(value: Any) -> int | None:
        return value if type(value) is int and low <= value <= high else None

    return _Key(f"a whole number of {unit} from {low} to {high}", check, default)


def _text(most: int, default: Any = "") -> _Key:
    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and len(value) <= most and (default is not _MISSING or value.strip())
        return value if fits else None

    return _Key(f"text of {'1' if default is _MISSING else '0'} to {most} characters", check, default)


def _one_of(names: tuple[str, ...], default: Any = _MISSING) -> _Key:
    return _Key(f"one of {', '.join(names)}", lambda value: value if value in names else None, default)


def _matching(pattern: str, expected: str, default: Any = _MISSING) -> _Key:
    def check(value: Any) -> str | None:
        return value if isinstance(value, str) and (value == default or re.fullmatch(pattern, value)) else None

    return _Key(expected, check, default)


def _texts() -> _Key:
    def check(value: Any) -> tuple[str, ...] | None:
        if not isinstance(value, list) or len(value) > 1000:
            return None
        return tuple(value) if all(isinstance(v, str) and len(v) <= 2000 for v in value) else None

    return _Key("a list of texts", check, ())


def _tables() -> _Key:
    def check(value: Any) -> list[dict[str, Any]] | None:
        fits = isinstance(value, list) and len(value) <= 10_000 and all(isinstance(v, dict) for v in value)
        return value if fits else None

    return _Key("tables in double brackets", check, [])


_FLAG = _Key("true or false", lambda value: value if isinstance(value, bool) else None, False)
_DATE = r"\d{4}(-\d\d(-\d\d([T ][0-9:.+Z-]{1,24})?)?)?"
_THREADS = _whole("threads", 1, 1 << 16, None)
_STANDING = {
    "standing": _one_of(STANDINGS),
    "source": _text(500, _MISSING),
    "date": _matching(_DATE, 'a date as text, such as "2026-11"'),
    "note": _text(2000),
}
_PEAK = {
    "format": _one_of(FORMATS),
    "flops_per_second": _number("FLOP/s", 1e3, 1e21),
    "engine": _one_of(("vector", "matrix", "npu"), "vector"),
    "accumulate": _text(20),
    "sparse": _FLAG,
    "threads": _THREADS,
    "theoretical_flops_per_second": _number("FLOP/s", 1e3, 1e21, None),
    "instruction": _text(200),
    "variation": _number("parts of one", 0, 10, None),
    "clock_hz": _number("Hz", 1e3, 1e11, None),
    "lanes": _whole("lanes", 1, 1 << 20, None),
    "units": _whole("units", 1, 1 << 20, None),
    **_STANDING,
}
_BANDWIDTH = {
    "bytes_per_second": _number("B/s", 1e3, 1e17),
    "pattern": _one_of(("read", "copy", "triad"), "read"),
    "threads": _THREADS,
    "stores": _one_of(("ordinary", "non-temporal"), "ordinary"),
    "variation": _number("parts of one", 0, 10, None),
    "transfers_per_second": _number("transfers/s", 1e3, 1e13, None),
    "bus_bits": _whole("bits", 1, 1 << 20, None),
    **_STANDING,
}
_LEVEL = {
    "name": _one_of(LEVELS),
    "size_bytes": _whole("bytes", 1, 1 << 60, None),
    "shared": _Key(_FLAG.expected, _FLAG.check, True),
    "bandwidth": _tables(),
}
_MACHINE = {
    "id": _matching(r"[a-z0-9][a-z0-9._-]{0,63}", "1 to 64 small letters, digits, dots, dashes or underscores"),
    "name": _text(200, _MISSING),
    "kind": _one_of(KINDS),
    "vendor": _text(200),
    "description": _text(2000),
    "threads": _THREADS,
    "clock_hz": _number("Hz", 1e3, 1e11, None),
    "isa": _texts(),
    "microarchitecture": _text(200),
    "power_mode": _text(200),
    "overhead_seconds": _number("seconds", 0, 10, None),
    "date": _matching(_DATE, 'a date as text, such as "2026-11"', ""),
    "notes": _texts(),
    "peak": _tables(),
    "level": _tables(),
}


def read_machine(path: str | Path) -> Machine:
    """Read one machine from a TOML file of at most 1 MiB.

    Raises `InputError` naming the file, the key, what was expected and what was found, for a file that is missing,
    is no TOML, or has a key that is unknown, missing, of the wrong type or out of range.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a machine file, found nothing there", "check the path") from None
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror})", "give a readable TOML file") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path}: larger than {MAX_FILE_BYTES} bytes", "a machine file holds a few kilobytes of text")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise InputError(
            f"{path}: expected UTF-8 text, found byte {data[problem.start]:#04x} at {problem.start}",
            "save the file as UTF-8",
        ) from None
    return parse_machine(text, str(path))


def parse_machine(text: str, where: str) -> Machine:
    """Build a machine from TOML text; `where` names the file in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"{where}: no valid TOML: {problem}", "correct the line that is named") from None
    except RecursionError:
        raise InputError(f"{where}: arrays nested too deeply", "a machine file needs two levels") from None
    values = _checked(table, _MACHINE, where, "")
    peaks = tuple(_peak(entry, where, f"peak[{i}].") for i, entry in enumerate(values.pop("peak")))
    levels = tuple(_level(entry, where, f"level[{i}].") for i, entry in enumerate(values.pop("level")))
    order = [LEVELS.index(level.name) for level in levels]
    if order != sorted(set(order)):
        found = ", ".join(level.name for level in levels)
        raise InputError(
            f"{where}: level: expected each level once, from the fastest to DRAM, found {found}",
            f"put them in the order {', '.join(LEVELS)}",
        )
    return Machine(peaks=peaks, levels=levels, **values)


def write_machine(machine: Machine, path: str | Path) -> None:
    """Write a machine as TOML so that `read_machine` gives back an equal one. The file appears whole or not at all.

    Raises `InputError` for a machine that could not be read back (the same checks) and for a folder that
    cannot be written.
    """
    path = Path(path)
    text = machine_text(machine)
    parse_machine(text, str(path))
    # not tempfile: its files can be read by nobody else, and a machine file may be shared
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        temporary.replace(path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({problem.strerror})", "choose a writable folder") from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def machine_text(machine: Machine) -> str:
    """The TOML text of a machine; values that equal their default are left out."""
    import tomli_w

    table = _plain(machine, _MACHINE)
    table["peak"] = [{**_plain(p, _PEAK), **_plain_standing(p.standing)} for p in machine.peaks]
    table["level"] = [
        {
            **_plain(level, _LEVEL),
            "bandwidth": [{**_plain(b, _BANDWIDTH), **_plain_standing(b.standing)} for b in level.bandwidths],
        }
        for level in machine.levels
    ]
    return tomli_w.dumps({key: value for key, value in table.items() if value != []})


def _checked(table: Mapping[str, Any], keys: Mapping[str, _Key], where: str, prefix: str) -> dict[str, Any]:
    for name in table:
        if name not in keys:
            close = difflib.get_close_matches(name, keys, 1)
            remedy = f"did you mean {close[0]}?" if close else "remove it"
            raise InputError(f"{where}: {prefix}{name}: expected one of {', '.join(keys)}, found {name!r}", remedy)
    values: dict[str, Any] = {}
    for name, key in keys.items():
        if name not in table:
            if key.default is _MISSING:
                raise InputError(
                    f"{where}: {prefix}{name}: expected {key.expected}, found nothing", f"add {name} = ... to the file"
                )
            values[name] = key.default
            continue
        value = key.check(table[name])
        if value is None:
            raise InputError(
                f"{where}: {prefix}{name}: expected {key.expected}, found {_shown(table[name])}",
                _remedy(table[name], key),
            )
        values[name] = value
    return values


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _remedy(value: Any, key: _Key) -> str:
    if isinstance(value, str) and "number" in key.expected:
        return "write the plain number in that unit, without quotes or a unit: 19.5e12, not 19.5 TFLOP/s"
    return "correct the value, or remove the key if the value is not known"


def _split_standing(values: dict[str, Any]) -> Standing:
    return Standing(*(values.pop(name) for name in ("standing", "source", "date", "note")))


def _peak(entry: dict[str, Any], where: str, prefix: str) -> Peak:
    values = _checked(entry, _PEAK, where, prefix)
    return Peak(standing=_split_standing(values), **values)


def _bandwidth(entry: dict[str, Any], where: str, prefix: str) -> Bandwidth:
    values = _checked(entry, _BANDWIDTH, where, prefix)
    return Bandwidth(standing=_split_standing(values), **values)


def _level(entry: dict[str, Any], where: str, prefix: str) -> Level:
    values = _checked(entry, _LEVEL, where, prefix)
    bandwidths = values.pop("bandwidth")
    found = tuple(_bandwidth(b, where, f"{prefix}bandwidth[{i}].") for i, b in enumerate(bandwidths))
    return Level(bandwidths=found, **values)


def _plain(thing: Any, keys: Mapping[str, _Key]) -> dict[str, Any]:
    """Fields of a dataclass that the table knows and that differ from their default."""
    table: dict[str, Any] = {}
    for name, key in keys.items():
        value = getattr(thing, name, _MISSING)
        if value is _MISSING or value is None or (key.default is not _MISSING and value == key.default):
            continue
        table[name] = list(value) if isinstance(value, tuple) else value
    return table


def _plain_standing(standing: Standing) -> dict[str, str]:
    table = {"standing": standing.kind, "source": standing.source, "date": standing.date, "note": standing.note}
    return {key: value for key, value in table.items() if key != "note" or value}
