"""Reading the processor, its caches and the cores that may be used, from recorded trees and from this computer."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from rooftune.machine import topology as module
from rooftune.machine.cgroup import CgroupLimits, parse_cpu_list, read_limits
from rooftune.machine.topology import cache_levels, read_topology, usable_threads
from rooftune.quantities import Unknown


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def x86(cpus: int, flags: str = "fma avx2", model: int = 17, name: str = "AMD EPYC 9654") -> str:
    block = "processor\t: {}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\n"
    block += "model\t\t: {}\nmodel name\t: {}\nflags\t\t: {}\n"
    return "\n".join(block.format(cpu, model, name, flags) for cpu in range(cpus))


def sysfs(cpus: int, per_core: int = 1, l3_cpus: int | None = None) -> dict[str, str]:
    """`cpu*/cache` and `cpu*/topology` of a machine whose hyperthread siblings are neighbours."""
    files = {"sys/devices/system/cpu/online": f"0-{cpus - 1}\n"}
    for cpu in range(cpus):
        base = f"sys/devices/system/cpu/cpu{cpu}"
        core = cpu // per_core * per_core
        own = f"{core}-{core + per_core - 1}" if per_core > 1 else f"{cpu}"
        files[f"{base}/topology/thread_siblings_list"] = own
        group = l3_cpus or cpus
        l3 = f"{cpu // group * group}-{cpu // group * group + group - 1}"
        entries = [(1, "Data", "48K", own), (1, "Instruction", "32K", own), (2, "Unified", "1024K", own)]
        for index, (level, kind, size, shared) in enumerate([*entries, (3, "Unified", "32M", l3)]):
            cache = f"{base}/cache/index{index}"
            files |= {f"{cache}/level": str(level), f"{cache}/type": kind, f"{cache}/size": size}
            files[f"{cache}/shared_cpu_list"] = shared
    return files


def allowed(cpus: str) -> dict[str, str]:
    return {"proc/self/status": f"Name:\tpython\nCpus_allowed:\tff\nCpus_allowed_list:\t{cpus}\n"}


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8,10-11\n", (0, 1, 2, 3, 8, 10, 11)),
        ("5", (5,)),
        ("", ()),
        (None, ()),
        ("x,3-1,-2,1-99999999", ()),
        ("0-1\n4", (0, 1, 4)),
    ],
)
def test_cpu_lists(text: str | None, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


def test_two_numa_nodes_with_hyperthreads(tmp_path: Path) -> None:
    node = "sys/devices/system/node/node"
    root = write(
        tmp_path,
        {"proc/cpuinfo": x86(8, "fma avx2 avx512f avx512_bf16"), "proc/meminfo": "MemTotal:  1048576 kB\n"}
        | sysfs(8, per_core=2, l3_cpus=4)
        | allowed("0-7")
        | {f"{node}0/cpulist": "0-3", f"{node}0/meminfo": "Node 0 MemTotal:  524288 kB\n"}
        | {f"{node}1/cpulist": "4-7", f"{node}1/meminfo": "Node 1 MemTotal:  524288 kB\n"},
    )
    found = read_topology(root)
    assert (found.vendor, found.name) == ("AuthenticAMD", "AMD EPYC 9654")
    assert (found.core_types[0].family, found.core_types[0].model) == (25, 17)
    assert found.isa == ("fma", "avx2", "avx512f", "avx512_bf16")
    assert found.siblings == ((0, 1), (2, 3), (4, 5), (6, 7)) and found.physical_cores == (0, 2, 4, 6)
    assert [(n.id, n.cpus, n.memory_bytes) for n in found.nodes] == [
        (0, (0, 1, 2, 3), 512 << 20),
        (1, (4, 5, 6, 7), 512 << 20),
    ]
    assert found.memory_bytes == 1 << 30 and found.memory_limit_bytes is None
    assert [(lv.name, lv.size_bytes, lv.shared) for lv in cache_levels(found)] == [
        ("L1", 48 << 10, False),
        ("L2", 1 << 20, False),
        ("L3", 64 << 20, True),  # two L3 domains are reached
        ("DRAM", 1 << 30, True),
    ]
    assert usable_threads(found) == 8 and found.quota_cpus is None


def test_affinity_and_cpuset_together(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {"proc/cpuinfo": x86(8), "proc/self/cgroup": "0::/job\n"}
        | sysfs(8, per_core=2, l3_cpus=4)
        | allowed("1-5")
        | {"sys/fs/cgroup/job/cpuset.cpus.effective": "0-3\n"},
    )
    found = read_topology(root)
    assert found.cores == (1, 2, 3) and found.online == tuple(range(8))
    assert found.physical_cores == (1, 2)
    assert cache_levels(found)[2].size_bytes == 32 << 20  # only one L3 domain is reached
    assert usable_threads(found) == 3


def test_v1_quota_rounds_up_and_keeps_both_facts(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/cpuinfo": x86(4),
            "proc/self/cgroup": "7:cpu,cpuacct:/docker/abc\n5:cpuset:/\n3:memory:/docker/abc\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpuset/cpuset.cpus": "0-3",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "1073741824",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        }
        | sysfs(4)
        | allowed("0-3"),
    )
    found = read_topology(root)
    assert found.quota_cpus == 1.5 and found.cores == (0, 1, 2, 3)
    assert usable_threads(found) == 2
    assert found.memory_limit_bytes == 1 << 30


def test_v2_takes_the_tightest_of_all_ancestors(tmp_path: Path) -> None:
    group = "sys/fs/cgroup"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box/job\n",
            f"{group}/pod/cpu.max": "400000 100000\n",
            f"{group}/pod/box/cpu.max": "50000 100000\n",
            f"{group}/pod/box/job/cpu.max": "max 100000\n",
            f"{group}/pod/cpuset.cpus.effective": "0-7\n",
            f"{group}/pod/box/cpuset.cpus.effective": "2-3\n",
            f"{group}/pod/memory.max": "2147483648\n",
            f"{group}/pod/box/job/memory.max": "max\n",
        },
    )
    assert read_limits(root) == CgroupLimits(0.5, frozenset({2, 3}), 2 << 30)
    (root / "proc/cpuinfo").write_text(x86(8))
    found = read_topology(root)
    assert found.quota_cpus == 0.5 and usable_threads(found) == 1


@pytest.mark.parametrize("path", ["/docker/abc/job", "/", "/../../elsewhere"])
def test_a_container_sees_only_its_own_mount(tmp_path: Path, path: str) -> None:
    """The mount says which group lies at its root; the path of `/proc/self/cgroup` may be the host's."""
    mount = "36 25 0:31 /docker/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\nnot a mount line\n"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": mount,
            "sys/fs/cgroup/cpu.max": "300000 100000",
            "sys/fs/cgroup/job/cpu.max": "200000 100000",
        },
    )
    assert read_limits(root).quota_cpus == (2.0 if path.endswith("job") else 3.0)


def test_v1_controllers_are_found_where_they_are_mounted(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/a\n0::/b\n",
            "proc/self/mountinfo": "40 30 0:33 / /odd/cpu rw - cgroup cgroup rw,cpuacct,cpu\n"
            "41 30 0:34 / /odd/unified rw - cgroup2 cgroup2 rw\n",
            "odd/cpu/a/cpu.cfs_quota_us": "250000",
            "odd/cpu/a/cpu.cfs_period_us": "100000",
            "odd/unified/b/cpu.max": "900000 100000",
        },
    )
    assert read_limits(root).quota_cpus == 2.5  # both hierarchies count, the tighter wins


@pytest.mark.parametrize("value", ["", "max", "max 100000", "0 100000", "100000 0", "a b", "-1 100000"])
def test_nonsense_in_a_quota_is_no_quota(tmp_path: Path, value: str) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": value})
    assert read_limits(root).quota_cpus is None


def test_without_cgroup_files_there_are_no_limits(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == CgroupLimits()


def test_a_container_that_hides_sysfs(tmp_path: Path) -> None:
    found = read_topology(write(tmp_path, {"proc/cpuinfo": x86(3)}))
    assert found.cores == (0, 1, 2) and found.siblings == ((0,), (1,), (2,))
    assert found.caches == () and found.nodes[0].cpus == (0, 1, 2)
    assert isinstance(found.memory_bytes, Unknown)
    assert [(lv.name, lv.size_bytes) for lv in cache_levels(found)] == [("DRAM", None)]


def test_an_empty_cpuinfo_still_gives_a_core(tmp_path: Path) -> None:
    found = read_topology(write(tmp_path, {"proc/cpuinfo": ""}))
    assert usable_threads(found) == 1 and found.core_types == ()


def test_intel_hybrid_cores_and_caches(tmp_path: Path) -> None:
    cpuinfo = x86(6, "fma avx2 avx_vnni", 151, "12th Gen Intel(R) Core(TM)").replace("AuthenticAMD", "GenuineIntel")
    files = sysfs(6, l3_cpus=6) | {"sys/devices/cpu_core/cpus": "0-1\n", "sys/devices/cpu_atom/cpus": "2-5\n"}
    for cpu in range(2, 6):  # four efficiency cores: smaller first level, one second level for all of them
        base = f"sys/devices/system/cpu/cpu{cpu}/cache"
        files |= {f"{base}/index0/size": "32K", f"{base}/index2/size": "2048K"}
        files[f"{base}/index2/shared_cpu_list"] = "2-5"
    root = write(tmp_path, {"proc/cpuinfo": cpuinfo} | files)
    found = read_topology(root)
    assert [(t.role, t.cpus) for t in found.core_types] == [("performance", (0, 1)), ("efficiency", (2, 3, 4, 5))]
    assert sorted(c.size_bytes for c in found.caches if c.level == 2) == [1 << 20, 1 << 20, 2 << 20]
    sizes = {lv.name: (lv.size_bytes, lv.shared) for lv in cache_levels(found)}
    assert sizes["L1"] == (32 << 10, False)  # the smallest copy: no core overflows it
    assert sizes["L2"] == (4 << 20, True)
    on_little = read_topology(write(root, allowed("2-5")))
    assert on_little.core_types[0].role == "efficiency"


ARM = "processor\t: {}\nFeatures\t: {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n"


def test_arm_big_little(tmp_path: Path) -> None:
    blocks = [ARM.format(i, "fp asimd aes asimddp asimdhp", "0xd05" if i < 4 else "0xd0b") for i in range(8)]
    root = write(tmp_path, {"proc/cpuinfo": "\n".join(blocks), "proc/device-tree/model": "Board\x00"} | allowed("4-7"))
    found = read_topology(root)
    assert found.architecture == "aarch64" and found.name == "Board"
    assert found.isa == ("fp", "asimd", "asimdhp", "asimddp")
    assert [(t.part, t.cpus) for t in found.core_types] == [(0xD0B, (4, 5, 6, 7)), (0xD05, (0, 1, 2, 3))]


def test_arm_features_from_the_auxiliary_vector(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": ARM.format(0, "", "0xd49"), "proc/self/x": ""})
    hwcap, hwcap2 = 1 << 0 | 1 << 1 | 1 << 20 | 1 << 22, 1 << 13 | 1 << 14
    (root / "proc/self/auxv").write_bytes(struct.pack("<6Q", 16, hwcap, 26, hwcap2, 0, 0) + b"odd")
    assert read_topology(root).isa == ("fp", "asimd", "asimddp", "i8mm", "bf16", "sve")


def test_without_proc_the_standard_library_answers(tmp_path: Path) -> None:
    """The path that macOS and Windows take."""
    found = read_topology(tmp_path)
    assert len(found.cores) == os.cpu_count() and usable_threads(found) == os.cpu_count()
    assert isinstance(found.memory_bytes, int) and found.memory_bytes > 1 << 20
    assert sorted(cpu for group in found.siblings for cpu in group) == list(found.cores)
    assert module.cache_levels(found)[-1].name == "DRAM"


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_this_computer() -> None:
    found = read_topology()
    assert set(found.cores) <= os.sched_getaffinity(0)
    assert 1 <= usable_threads(found) <= len(found.cores)
    assert set(found.physical_cores) <= set(found.cores)
    assert found.architecture and found.core_types
    names = [lv.name for lv in cache_levels(found)]
    assert names == sorted(names, key=["L1", "L2", "L3", "L4", "DRAM"].index)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_narrowed_affinity_is_respected() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert read_topology().cores == (min(before),)
    finally:
        os.sched_setaffinity(0, before)
