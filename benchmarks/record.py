"""The JSON record of a benchmark: written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["write_record"]


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Put the record in place of an older one, so that a run that is broken off leaves one of them."""
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    scratch.replace(path)
