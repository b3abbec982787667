"""The record of a run: versioned JSON from which every report is drawn and the run could be repeated."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from rooftune.errors import InputError
from rooftune.plan import Step
from rooftune.quantities import Unknown
from rooftune.verify import Verification

__all__ = [
    "SCHEMA",
    "CandidateRow",
    "Placed",
    "Record",
    "Refused",
    "Speedup",
    "plain",
    "read_record",
    "write_text_atomically",
]

SCHEMA = 1
_LARGEST = 512 * 2**20


@dataclass(frozen=True)
class Placed:
    """One way of running the model with its time per run in seconds."""

    name: str
    backend: str
    settings: Mapping[str, Any]
    threads: int
    seconds: float
    concurrency: int = 1


@dataclass(frozen=True)
class Speedup:
    """baseline / best, from a race after the choice: median and 95 % bootstrap interval of paired ratios.

    `twin` is the same ratio for an engine against itself, which shows how far the machine can be trusted;
    `settled` says whether the twins agreed within 2 % before the budget ran out.
    """

    median: float
    low: float
    high: float
    pairs: int
    twin: Mapping[str, float] | None = None
    settled: bool = True


@dataclass(frozen=True)
class CandidateRow:
    """What became of one candidate. `status`: measured, dropped, failed or refused."""

    name: str
    backend: str
    settings: Mapping[str, Any]
    threads: int
    status: str
    concurrency: int = 1
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 0
    load_seconds: float | None = None
    items_per_second: float | None = None
    error: float | None = None
    verified: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Refused:
    """Something that was not done, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Record:
    """Everything about one run. Parts that do not apply to its `kind` are None or empty."""

    kind: str
    rooftune: str
    created: str
    command: Sequence[str]
    verdict: str
    model: Mapping[str, Any]
    machine: Mapping[str, Any]
    environment: Mapping[str, Any]
    settings: Mapping[str, Any]
    analysis: Mapping[str, Any]
    baseline: Placed | None = None
    best: Placed | None = None
    speedup: Speedup | None = None
    verification: Verification | None = None
    steps: Sequence[Step] = ()
    candidates: Sequence[CandidateRow] = ()
    refused: Sequence[Refused] = ()
    profiles: Mapping[str, Any] = field(default_factory=dict)
    rewrite: Mapping[str, Any] | None = None
    method: Sequence[str] = ()
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        result: dict[str, Any] = plain(self)
        return result

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_text_atomically(path, json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """JSON values of dataclasses and their parts: unknowns and infinities become null, expressions text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        # paths may hold bytes that are no text
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Unknown):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if getattr(value, "is_Integer", False) is True:
        return int(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return plain(value.item())
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def read_record(path: Path) -> dict[str, Any]:
    """Read `record.json` (or the one in a run folder) as plain JSON.

    Raises InputError when it is missing, too large, no JSON, or of a schema this version does not know.
    """
    file = path / "record.json" if path.is_dir() else path
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(f"{file} is larger than {_LARGEST >> 20} MiB", "give a record.json written by rooftune")
        data = json.loads(file.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except FileNotFoundError:
        raise InputError(f"no record at {file}", "give a run folder or a record.json written by rooftune") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as why:
        raise InputError(f"{file} is no readable record ({why})", "give a record.json written by rooftune") from None
    if not isinstance(data, dict) or "schema" not in data or "analysis" not in data:
        raise InputError(f"{file} is JSON but no record", "give a record.json written by rooftune")
    if data["schema"] != SCHEMA:
        raise InputError(
            f"{file} has schema {data['schema']!r}, this version reads {SCHEMA}", "use the rooftune that wrote it"
        )
    return data


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file so that readers see the old one or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
