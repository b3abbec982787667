"""Where the host's ceilings are remembered, and when they are measured again."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rooftune.execute.probe import stored
from rooftune.execute.probe.stored import home, host_machine, store_machine, stored_machine, stored_path
from rooftune.machine.spec import Machine, Peak, Standing
from rooftune.machine.topology import read_topology

MEASURED = Machine(
    "host", "a test", "cpu", (Peak("fp32", 1e9, Standing("measured", "rooftune machine probe", "2026-11-20")),), ()
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROOFTUNE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Counts the probes; what the probe itself does has tests of its own."""
    taken: list[bool] = []

    def probe(progress: object, quick: bool = False) -> Machine:
        taken.append(quick)
        return MEASURED

    monkeypatch.setattr(stored, "probe_host", probe)
    return taken


def test_home_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROOFTUNE_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOFTUNE_HOME", "here")
    assert home() == tmp_path / "here"
    monkeypatch.setenv("ROOFTUNE_HOME", "~/there")
    assert home() == Path.home() / "there"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have other folders")
def test_home_without_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ROOFTUNE_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home() == tmp_path / "rooftune"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert home() == Path.home() / ".cache" / "rooftune"
    monkeypatch.setenv("ROOFTUNE_HOME", "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == Path.home() / ".cache" / "rooftune"


def test_measured_once_and_remembered(cache: Path, probes: list[bool]) -> None:
    assert stored_machine() is None
    assert host_machine() == host_machine() == stored_machine() == MEASURED
    assert probes == [False]
    assert not list(cache.rglob("*.tmp"))


def test_quick_results_do_not_pass_for_full_ones(cache: Path, probes: list[bool]) -> None:
    host_machine(quick=True)
    assert stored_machine() is None
    assert stored_machine(quick=True) == MEASURED
    host_machine()
    assert probes == [True, False]
    host_machine(quick=True)
    assert probes == [True, False]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"id = 3", b'id = "host"\nname = "x"\n', b"[[peak]]\n" * 1000])
def test_a_broken_file_is_measured_again_with_a_warning(cache: Path, probes: list[bool], content: bytes) -> None:
    path = store_machine(MEASURED)
    path.write_bytes(content)
    with pytest.warns(RuntimeWarning, match="measured again"):
        assert host_machine() == MEASURED
    assert len(probes) == 1
    assert stored_machine() == MEASURED


def test_other_processors_and_other_affinities_have_other_files(cache: Path) -> None:
    topology = read_topology()
    others = [
        dataclasses.replace(topology, name="another"),
        dataclasses.replace(topology, cores=(*topology.cores, 99)),
        dataclasses.replace(topology, quota_cpus=0.5),
        dataclasses.replace(topology, isa=()),
    ]
    paths = {stored_path(other) for other in others if other != topology}
    assert stored_path(topology) not in paths or topology.quota_cpus == 0.5
    assert len(paths) >= 3
    assert stored_path(topology) == stored_path(read_topology())


def test_where_nothing_can_be_written_it_is_measured_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, probes: list[bool]
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ROOFTUNE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert host_machine() == MEASURED
    assert probes == [False]


def test_of_several_threads_one_measures(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def slow(progress: object, quick: bool = False) -> Machine:
        taken.append(time.monotonic())
        time.sleep(0.3)
        return MEASURED

    monkeypatch.setattr(stored, "probe_host", slow)
    found: list[Machine] = []
    threads = [threading.Thread(target=lambda: found.append(host_machine())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [MEASURED] * 4
    assert len(taken) == 1


def test_of_several_processes_one_measures(cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = f"""
from rooftune.execute.probe import stored
real = stored.probe_host
def counted(*arguments):
    with open({str(log)!r}, "a") as stream:
        stream.write("probed ")
    return real(*arguments)
stored.probe_host = counted
print(stored.host_machine(quick=True).id, end="")
"""
    run = [sys.executable, "-c", program]
    environment = os.environ | {"ROOFTUNE_HOME": str(cache)}
    children = [subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        assert [child.communicate(timeout=200)[0] for child in children] == ["host"] * 3
    finally:
        for child in children:
            child.kill()
    assert log.read_text() == "probed "
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in files) == [".lock", ".toml"]
    assert stored_machine(quick=True) is not None
