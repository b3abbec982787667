"""Running the command: in this process (fast), or in one of its own (as a user does)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rooftune.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class InProcess:
    """`cli("analyze", path)`: the command without the cost of a new interpreter."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object) -> Ended:
        self._capture.readouterr()
        os.environ.pop("ROOFTUNE_DEBUG", None)
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        said = self._capture.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, said.out, said.err)


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files included."""
    return sorted(p.name for p in folder.iterdir())


def shell(*arguments: object, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Ended:
    """`python -m rooftune ...` in a process of its own, with a narrow screen."""
    done = subprocess.run(
        [sys.executable, "-m", "rooftune", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80", **(environment or {})},
        cwd=folder,
        timeout=240,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
