"""Threads, windows and the probe's result. No test looks at how quick anything is."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rooftune.compiler.machine_code import compile_code
from rooftune.errors import InputError
from rooftune.execute.probe import probe_host, trial
from rooftune.execute.probe.bandwidths import Arrays, cache_shares, dram_array_bytes
from rooftune.execute.probe.clock import after_turns, clock_text
from rooftune.execute.probe.measure import Sample, calibrate, combine, quickest, sample_in_turns, wall_seconds
from rooftune.execute.probe.memory import address_of, allocate
from rooftune.execute.probe.probe import thread_counts
from rooftune.execute.probe.threads import Step, Team
from rooftune.machine.files import read_machine, write_machine
from rooftune.machine.microarchitecture import identify, theoretical_flops_per_cycle
from rooftune.machine.topology import Cache, read_topology, usable_threads

CPUS = read_topology().cores


def chain_steps(count: int) -> tuple[list[np.ndarray], list[Step]]:
    address = compile_code(clock_text()).address("kernel")
    chains = [np.array([rank, 1], np.uint64) for rank in range(count)]
    return chains, [Step(address, chain.ctypes.data, 1) for chain in chains]


def test_every_thread_runs_its_own_steps_in_order() -> None:
    cpus = CPUS[:2]
    chains, steps = chain_steps(len(cpus))
    stamps = Team(cpus).run([[step] * 3 for step in steps])
    for rank, chain in enumerate(chains):
        assert tuple(map(int, chain)) == after_turns(rank, 1, 3)
    assert stamps.shape == (len(cpus), 3, 2)
    assert (stamps[:, :, 1] >= stamps[:, :, 0]).all()
    assert (stamps[:, 1:, 0] >= stamps[:, :-1, 1].max(0)).all(), "a step began before all had ended the one before"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not pin threads")
def test_threads_run_on_their_cores_and_the_caller_stays_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    seen: dict[int, set[int]] = {}
    Team(CPUS[:2]).each(lambda rank: seen.__setitem__(rank, os.sched_getaffinity(0)))
    assert seen == {rank: {cpu} for rank, cpu in enumerate(CPUS[:2])}
    assert os.sched_getaffinity(0) == before


def test_a_failure_in_one_thread_ends_all() -> None:
    def work(rank: int) -> None:
        raise RuntimeError("no memory on this node")

    with pytest.raises(RuntimeError, match="no memory"):
        Team(CPUS[:2]).each(work)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probe-")]


def test_interrupt_ends_all_threads_and_is_raised() -> None:
    program = f"""
import threading, sys
from rooftune.execute.probe.threads import Team, Step
from rooftune.execute.probe.clock import clock_text
from rooftune.compiler.machine_code import compile_code
import numpy as np
cpus = {CPUS[:2]!r}
chains = [np.array([1, 2], np.uint64) for _ in cpus]
address = compile_code(clock_text()).address("kernel")
team = Team(cpus)
print("ready", flush=True)
try:
    team.run([[Step(address, chain.ctypes.data, 100_000)] * 100_000 for chain in chains])
except KeyboardInterrupt:
    print("left", [t.name for t in threading.enumerate() if t.name.startswith("probe-")], flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60)[0] == "left []\n"
        assert child.returncode == 0
    finally:
        child.kill()


def test_wall_time_is_from_the_first_begin_to_the_last_end() -> None:
    stamps = np.array([[[10, 30], [40, 50]], [[12, 35], [39, 45]]], np.int64)
    np.testing.assert_allclose(wall_seconds(stamps), [25e-9, 11e-9])


def test_slow_windows_do_not_count() -> None:
    undisturbed = np.full(40, 1.0)
    disturbed = np.concatenate([undisturbed[:20], np.linspace(2, 50, 20)])
    assert quickest(disturbed) == quickest(undisturbed) == 1.0


def test_calm_samples_decide_and_all_of_them_vary() -> None:
    calm = [Sample(100.0, 101.0, 1.0, 4.0)] * 4
    result = combine([*calm, *[Sample(50.0, 70.0, 2.0, 2.0)] * 4])
    assert (result.rate, result.allowed, result.clock_hz) == (100.0, 101.0, 4.0)
    assert result.variation == pytest.approx(25 / 75)
    assert combine(calm).variation == 0.0
    alone = combine([Sample(3.0, None, 1.0)])
    assert (alone.allowed, alone.variation) == (None, None)


class Numbered:
    def __init__(self, rates: list[float]) -> None:
        self.rates, self.taken = rates, 0

    def sample(self, windows: int) -> Sample:
        self.taken += 1
        return Sample(self.rates[self.taken % len(self.rates)], None, 1.0)


def test_sampling_goes_on_while_results_vary() -> None:
    later = time.monotonic() + 1000
    steady, restless = Numbered([1.0]), Numbered([1.0, 2.0])
    sample_in_turns({"steady": steady}, 1, 4, later)
    assert steady.taken == 4
    sample_in_turns({"restless": restless}, 1, 4, later)
    assert restless.taken == 12


def test_sampling_ends_at_the_deadline() -> None:
    late = Numbered([1.0, 2.0])
    assert len(sample_in_turns({"late": late}, 1, 4, time.monotonic() - 1)["late"]) == 1


def test_calibration_gives_every_window_work() -> None:
    chains, steps = chain_steps(1)
    turns = calibrate(Team(CPUS[:1]), lambda n: [Step(s.kernel, s.argument, n) for s in steps], 1e-4)
    assert turns > 1
    assert int(chains[0][1]) != 1


def test_arrays_are_touched_and_staggered() -> None:
    arrays = Arrays.touched(Team(CPUS[:2]), 1 << 16, 3)
    for own in arrays.regions:
        assert len({address_of(array) % 4096 for array in own}) == 3
        for array in own:
            values = array.view(np.float64)
            assert ((values >= 1) & (values < 2)).all()
            assert len(np.unique(values)) == values.size


def test_memory_is_aligned_and_writable() -> None:
    array = allocate(1000, stagger=192)
    assert (array.size, address_of(array) % (2 << 20)) == (1000, 192)
    ctypes.memset(address_of(array), 7, 1000)
    assert (array == 7).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="large pages on request are Linux's")
def test_large_pages_are_used_where_the_system_gives_them() -> None:
    def large() -> int:
        found = re.search(r"AnonHugePages:\s*(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
        return int(found[1]) * 1024 if found else 0

    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("this system has no large pages")
    before = large()
    array = allocate(64 << 20)
    array[:] = 1
    assert large() - before >= 16 << 20


def test_shares_of_caches_by_who_shares_them() -> None:
    topology = read_topology()
    caches = (
        *(Cache(1, "data", 48 << 10, (cpu,)) for cpu in range(4)),
        *(Cache(2, "unified", 1 << 20, (cpu,)) for cpu in range(4)),
        Cache(3, "unified", 4 << 20, (0, 1, 2, 3)),
    )
    topology = type(topology)(**{**vars(topology), "caches": caches})
    assert cache_shares(topology, (0,)) == {"L1": 24 << 10, "L2": 512 << 10, "L3": 2 << 20}
    # four threads have 512 KB of the last cache each: what they read there would come from their second
    four = cache_shares(topology, (0, 1, 2, 3))
    assert (four["L1"], four["L2"]) == (24 << 10, 512 << 10)
    assert "too small" in str(four["L3"])
    assert dram_array_bytes(topology, (0, 1), 1 << 40) == (16 << 20, True)
    assert dram_array_bytes(topology, (0, 1), 6 << 20) == (1 << 20, False)


def test_thread_counts() -> None:
    assert thread_counts(1) == (1,)
    assert thread_counts(2) == (1, 2)
    assert thread_counts(6) == (1, 2, 3, 4, 6)
    assert thread_counts(64) == (1, 2, 3, 4, 8, 16, 32, 64)


def test_a_kernel_that_ends_its_process_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # what a refused instruction does to the child, for the first kernel it is asked to run
    calls: list[list[str]] = []
    real = trial._child

    def child(names: list[str]) -> tuple[dict[str, str], str, str]:
        calls.append(list(names))
        return ({}, names[0], "its first run ended with signal 4") if len(calls) == 1 else real(names)

    monkeypatch.setattr(trial, "_child", child)
    outcomes = trial.try_kernels()
    assert outcomes["clock"] == "its first run ended with signal 4"
    assert len(calls) == 2
    assert set(outcomes.values()) == {"", "its first run ended with signal 4"}


def test_a_process_that_dies_of_an_illegal_instruction_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nprintf 'run\\tclock\\ndone\\tclock\\t\\nrun\\tbad\\n'\nkill -ILL $$\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    found, running, ending = trial._child(["clock", "bad", "never"])
    assert (found, running) == ({"clock": ""}, "bad")
    assert ending == f"its first run ended with signal {int(signal.SIGILL)}"


class Told:
    def __init__(self) -> None:
        self.shares: list[float] = []
        self.stages: list[str] = []

    def stage(self, text: str):
        from contextlib import nullcontext

        self.stages.append(text)
        return nullcontext()

    def update(self, text: str, done: float | None = None) -> None:
        self.shares.append(done or 0.0)


@pytest.fixture(scope="module")
def quick_probe():
    told = Told()
    return probe_host(told, quick=True), told


def test_probe_measures_formats_and_levels_for_each_thread_count(quick_probe) -> None:
    machine, told = quick_probe
    most = usable_threads(read_topology())
    assert (machine.id, machine.kind, machine.threads) == ("host", "cpu", most)
    assert {peak.threads for peak in machine.peaks} == set(thread_counts(most))
    measured = {kernel.instruction.format for kernel in trial.arithmetic_kernels()}
    assert {peak.format for peak in machine.peaks} == measured
    for missing in {"fp64", "fp32", "fp16", "bf16", "int8"} - measured:
        assert [note for note in machine.notes if note.startswith(missing)]
    dram = machine.levels[-1]
    assert dram.name == "DRAM"
    assert {(b.pattern, b.stores) for b in dram.bandwidths} == {
        ("read", "ordinary"), ("copy", "ordinary"), ("triad", "ordinary"),
        ("copy", "non-temporal"), ("triad", "non-temporal"),
    }  # fmt: skip
    for number in (*machine.peaks, *(b for level in machine.levels for b in level.bandwidths)):
        assert (number.standing.kind, number.standing.source) == ("measured", "rooftune machine probe")
        assert number.variation is None or number.variation >= 0
    assert told.shares == sorted(told.shares)
    assert told.stages


def test_theoretical_peaks_are_clock_times_table_and_agree_on_the_clock(quick_probe) -> None:
    machine, _ = quick_probe
    topology = read_topology()
    bits = {"scalar-fma": 0, "avx2": 256, "avx512": 512, "neon": 128}
    for peak in machine.peaks:
        name = peak.instruction.split()[0]
        if peak.threads != 1 or peak.theoretical_flops_per_second is None or name not in bits:
            continue
        width = bits[name] or {"fp64": 64, "fp32": 32}[peak.format]
        rate = theoretical_flops_per_cycle(identify(topology), peak.format, width, peak.engine)
        assert isinstance(rate, float)
        assert 1e8 < peak.theoretical_flops_per_second / rate < 1e10, "no processor has such a clock"


def test_probe_survives_its_file(quick_probe, tmp_path) -> None:
    machine, _ = quick_probe
    write_machine(machine, tmp_path / "host.toml")
    assert read_machine(tmp_path / "host.toml") == machine


def test_more_threads_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="threads"):
        probe_host(threads=100_000)
