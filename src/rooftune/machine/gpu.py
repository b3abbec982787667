"""NVIDIA GPUs of this computer, asked through NVML; what a driver does not answer is unknown, never an error."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rooftune.quantities import Unknown

__all__ = ["Gpu", "list_gpus"]


@dataclass(frozen=True)
class Gpu:
    """One GPU. Bytes, Hz; `driver` and `cuda` are versions as text."""

    index: int
    name: str | Unknown
    uuid: str | Unknown
    memory_bytes: int | Unknown
    driver: str | Unknown
    cuda: str | Unknown
    clock_hz: float | Unknown
    max_clock_hz: float | Unknown
    max_memory_clock_hz: float | Unknown


def list_gpus(library: Any = None) -> tuple[Gpu, ...]:
    """Every NVIDIA GPU the driver shows; empty without a driver, a GPU or the binding.

    `library` stands in for the module `pynvml` (of the package nvidia-ml-py).
    """
    try:
        nvml = library if library is not None else importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # no binding, no driver, no permission: in each case there is no GPU to speak of
        return ()
    try:
        count = _ask(lambda: int(nvml.nvmlDeviceGetCount()))
        return tuple(_gpu(nvml, index) for index in range(0 if isinstance(count, Unknown) else count))
    finally:
        _ask(nvml.nvmlShutdown)


def _ask(*questions: Callable[[], Any]) -> Any:
    """The first answer, new calls before old ones; `Unknown` with the last reason if every call fails."""
    reason = "not asked"
    for question in questions:
        try:
            return question()
        except Exception as problem:  # NVMLError, or a name that this binding or driver does not have
            reason = str(problem) or type(problem).__name__
    return Unknown(reason)


def _gpu(nvml: Any, index: int) -> Gpu:
    driver = _ask(lambda: _text(nvml.nvmlSystemGetDriverVersion()))
    cuda = _ask(
        lambda: _version(nvml.nvmlSystemGetCudaDriverVersion_v2()),
        lambda: _version(nvml.nvmlSystemGetCudaDriverVersion()),
    )
    handle = _ask(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    if isinstance(handle, Unknown):
        return Gpu(index, handle, handle, handle, driver, cuda, handle, handle, handle)
    return Gpu(
        index=index,
        name=_ask(lambda: _text(nvml.nvmlDeviceGetName(handle))),
        uuid=_ask(lambda: _text(nvml.nvmlDeviceGetUUID(handle))),
        memory_bytes=_ask(
            # version 2 counts the memory the driver keeps for itself apart; the total is the same
            lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).total),
            lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        ),
        driver=driver,
        cuda=cuda,
        clock_hz=_ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6),
        max_clock_hz=_ask(lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6),
        max_memory_clock_hz=_ask(lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6),
    )


def _text(answer: str | bytes) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
