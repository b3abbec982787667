"""GPUs through NVML: readings that fail are unknown, old drivers are asked in the old way, nothing ever raises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rooftune.machine.gpu import list_gpus
from rooftune.quantities import Unknown


def nvml(**changes: Any) -> SimpleNamespace:
    """What the binding answers on a machine with one card, as a driver of 2026 does."""

    def memory(handle: int, version: int | None = None) -> SimpleNamespace:
        return SimpleNamespace(total=150_754_820_096)

    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: "NVIDIA H200",
        "nvmlDeviceGetUUID": lambda handle: b"GPU-1",
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlMemory_v2": 0x2000028,
        "nvmlSystemGetDriverVersion": lambda: "580.95.05",
        "nvmlSystemGetCudaDriverVersion_v2": lambda: 13010,
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1980,
        "nvmlDeviceGetMaxClockInfo": lambda handle, kind: {1: 1980, 2: 3201}[kind],
        "NVML_CLOCK_SM": 1,
        "NVML_CLOCK_MEM": 2,
    }
    given = {name: answer for name, answer in (answers | changes).items() if answer is not None}
    return SimpleNamespace(**given)


def refuse(*args: Any, **more: Any) -> Any:
    raise RuntimeError("Not Supported")


def test_a_current_driver() -> None:
    (gpu,) = list_gpus(nvml())
    assert (gpu.index, gpu.name, gpu.uuid, gpu.driver, gpu.cuda) == (0, "NVIDIA H200", "GPU-1", "580.95.05", "13.1")
    assert gpu.memory_bytes == 150_754_820_096
    assert (gpu.clock_hz, gpu.max_clock_hz, gpu.max_memory_clock_hz) == (1.98e9, 1.98e9, 3.201e9)


def test_an_old_driver_is_asked_in_the_old_way() -> None:
    def memory(handle: int) -> SimpleNamespace:  # takes no version
        return SimpleNamespace(total=16 << 30)

    old = nvml(
        nvmlDeviceGetMemoryInfo=memory,
        nvmlSystemGetCudaDriverVersion_v2=None,
        nvmlSystemGetCudaDriverVersion=lambda: 11040,
        nvmlDeviceGetName=lambda handle: b"Tesla T4",
    )
    (gpu,) = list_gpus(old)
    assert (gpu.memory_bytes, gpu.cuda, gpu.name) == (16 << 30, "11.4", "Tesla T4")


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("nvmlDeviceGetName", "name"),
        ("nvmlDeviceGetUUID", "uuid"),
        ("nvmlDeviceGetMemoryInfo", "memory_bytes"),
        ("nvmlSystemGetDriverVersion", "driver"),
        ("nvmlDeviceGetClockInfo", "clock_hz"),
        ("nvmlDeviceGetMaxClockInfo", "max_clock_hz"),
    ],
)
def test_a_missing_reading_is_unknown_and_leaves_the_others(call: str, field: str) -> None:
    (gpu,) = list_gpus(nvml(**{call: refuse}))
    assert getattr(gpu, field) == Unknown("Not Supported")
    known = [v for v in vars(gpu).values() if not isinstance(v, Unknown)]
    assert len(known) >= 7


def test_a_card_that_fell_off_the_bus_is_listed_as_unknown() -> None:
    first, second = list_gpus(
        nvml(nvmlDeviceGetCount=lambda: 2, nvmlDeviceGetHandleByIndex=lambda i: refuse() if i == 0 else i)
    )
    assert isinstance(first.name, Unknown) and first.driver == "580.95.05"
    assert second.name == "NVIDIA H200"


def test_no_driver_means_no_gpus() -> None:
    assert list_gpus(nvml(nvmlInit=refuse)) == ()
    assert list_gpus(nvml(nvmlDeviceGetCount=refuse)) == ()


def test_the_library_is_closed_again() -> None:
    closed: list[bool] = []
    list_gpus(nvml(nvmlShutdown=lambda: closed.append(True)))
    assert closed == [True]


def test_this_computer() -> None:
    """Runs with the real binding, with or without a GPU."""
    for gpu in list_gpus():
        assert gpu.index >= 0
        assert isinstance(gpu.memory_bytes, int | Unknown)
