from __future__ import annotations

import pytest

from .running import InProcess


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> InProcess:
    """The command in this process; also what native libraries print is caught."""
    return InProcess(capfd)
