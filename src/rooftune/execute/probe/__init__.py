"""This computer's ceilings, measured with kernels that are written for its instruction set on the spot."""

from __future__ import annotations

from rooftune.execute.probe.probe import probe_host
from rooftune.execute.probe.stored import home, host_machine, store_machine, stored_machine

__all__ = ["home", "host_machine", "probe_host", "store_machine", "stored_machine"]
