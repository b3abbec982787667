"""Core designs are recognised by their numbers, and their rates agree with published measurements."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rooftune.machine.microarchitecture import (
    Microarchitecture,
    identify,
    known_microarchitectures,
    theoretical_flops_per_cycle,
)
from rooftune.machine.spec import STANDINGS
from rooftune.machine.topology import CoreType, Node, Topology
from rooftune.quantities import Unknown


def computer(vendor: str, core: CoreType, *more: CoreType, name: str = "") -> Topology:
    cores = tuple(cpu for kind in (core, *more) for cpu in kind.cpus)
    groups = tuple((cpu,) for cpu in cores)
    return Topology("", vendor, name, (core, *more), (), (), cores, cores, groups, (Node(0, cores),), None, 1 << 30)


def intel(model: int, role: str = "", name: str = "") -> Topology:
    return computer("GenuineIntel", CoreType((0,), family=6, model=model, role=role), name=name)


def amd(family: int, model: int) -> Topology:
    return computer("AuthenticAMD", CoreType((0,), family=family, model=model))


def arm(part: int, implementer: int = 0x41) -> Topology:
    return computer("", CoreType((0,), implementer=implementer, part=part))


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        (amd(23, 0x31), "zen2"),
        (amd(23, 0x08), "zen"),
        (amd(25, 0x01), "zen3"),
        (amd(25, 0x11), "zen4"),
        (amd(25, 0x44), "zen3"),
        (amd(25, 0x74), "zen4"),
        (amd(26, 0x02), "zen5"),
        (amd(26, 0x44), "zen5"),
        (amd(26, 0x24), "zen5-mobile"),
        (intel(0x3F), "haswell"),
        (intel(0x9E), "skylake-client"),
        (intel(0x7E), "ice-lake-client"),
        (intel(0x6A), "ice-lake-server"),
        (intel(0x8F), "sapphire-rapids"),
        (intel(0xCF), "sapphire-rapids"),
        (intel(0xAD), "granite-rapids"),
        (intel(0x97, "performance"), "golden-cove"),
        (intel(0x97, "efficiency"), "gracemont"),
        (intel(0x97), "golden-cove"),  # processors without efficiency cores do not name roles
        (intel(0xBE), "gracemont"),
        (intel(0xC6, "performance"), "lion-cove"),
        (intel(0xC6, "efficiency"), "skymont"),
        (arm(0xD08), "cortex-a72"),
        (arm(0xD0C), "neoverse-n1"),
        (arm(0xD40), "neoverse-v1"),
        (arm(0xD4F), "neoverse-v2"),
        (arm(0x23, 0x61), "firestorm"),
    ],
)
def test_identification(topology: Topology, expected: str) -> None:
    found = identify(topology)
    assert isinstance(found, Microarchitecture) and found.id == expected


@pytest.mark.parametrize(
    ("topology", "says"),
    [
        (amd(27, 1), "family 27"),
        (intel(0xFF), "model 255"),
        (arm(0xFFF), "0xfff"),
        (intel(0xC6), "GenuineIntel"),  # hybrid, but the system does not say which core
        (computer("GenuineIntel", CoreType((0,))), "None"),
    ],
)
def test_what_is_not_in_the_table_is_unknown(topology: Topology, says: str) -> None:
    found = identify(topology)
    assert isinstance(found, Unknown) and says in found.reason
    assert theoretical_flops_per_cycle(found, "fp32", 256) == found


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", 64),
        ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", 64),
        ("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", 64),
        ("Intel(R) Xeon(R) Gold 5122 CPU @ 3.60GHz", 64),
        ("Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz", 32),
        ("Intel(R) Xeon(R) Gold 5222 CPU @ 3.80GHz", 64),
        ("Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz", 32),
        ("Intel(R) Xeon(R) Bronze 3204 CPU @ 1.90GHz", 32),
        ("Intel(R) Xeon(R) W-2195 CPU @ 2.30GHz", 64),
        ("Intel(R) Core(TM) i9-7980XE CPU @ 2.60GHz", 64),
        ("Intel(R) Core(TM) i7-7820X CPU @ 3.60GHz", 64),
        ("Intel(R) Core(TM) i9-10980XE CPU @ 3.00GHz", 64),
        ("Intel(R) Xeon(R) CPU @ 2.00GHz", None),
        ("Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz", None),
        ("Intel Xeon Processor (Skylake, IBRS)", None),
    ],
)
def test_skylake_servers_have_one_or_two_wide_units_by_model(name: str, flops: int | None) -> None:
    micro = identify(intel(0x55, name=name))
    wide = theoretical_flops_per_cycle(micro, "fp32", 512)
    assert isinstance(wide, Unknown) if flops is None else wide == flops
    assert theoretical_flops_per_cycle(micro, "fp32", 256) == 32


# FLOP/s of one core, and its clock as the same run implies or the vendor states it: pigirons/cpufp, benchmark_result
@pytest.mark.parametrize(
    ("topology", "clock", "measured"),
    [
        (
            amd(26, 0x44),
            5.536e9,
            {
                ("fp64", 512): 177.09e9,
                ("fp32", 512): 354.29e9,
                ("fp32", 256): 177.14e9,
                ("fp32", 128): 88.641e9,
                ("bf16", 512): 708.19e9,
                ("bf16", 256): 354.39e9,
                ("bf16", 128): 177.26e9,
                ("int8", 512): 1417.2e9,
                ("int8", 256): 708.55e9,
                ("int8", 128): 354.53e9,
            },
        ),
        (
            amd(25, 0x75),
            5.11e9,
            {
                ("fp64", 512): 81.786e9,
                ("fp32", 512): 163.58e9,
                ("fp32", 256): 163.57e9,
                ("bf16", 512): 324.92e9,
                ("int8", 512): 647.97e9,
            },
        ),
        (amd(25, 0x44), 4.745e9, {("fp64", 256): 75.702e9, ("fp32", 256): 151.84e9}),
        (intel(0x8F), 3.6e9, {("fp32", 512): 230.28e9, ("fp64", 512): 115.17e9, ("bf16", 512): 115.16e9}),
        (intel(0x8F), 3.9e9, {("int8", 512): 998.07e9, ("fp16", 512): 499.08e9, ("int8", 256): 498.96e9}),
        (intel(0x97), 4.586e9, {("fp32", 256): 146.76e9, ("int8", 256): 586.84e9}),
        (intel(0xBE), 3.39e9, {("fp32", 256): 54.247e9, ("fp64", 256): 27.128e9, ("int8", 256): 108.51e9}),
        (intel(0x66), 3.174e9, {("fp32", 512): 101.56e9, ("fp32", 256): 101.55e9, ("fp64", 128): 25.376e9}),
        (intel(0xC6, "performance"), 5.055e9, {("fp32", 256): 161.8e9, ("int8", 128): 323.56e9}),
        (intel(0xC6, "efficiency"), 4.385e9, {("fp32", 256): 140.32e9, ("int8", 256): 561.38e9}),
        (arm(0xD08), 1.5e9, {("fp32", 128): 11.958e9, ("fp64", 128): 5.9792e9}),
        (arm(0xD0B), 2.4e9, {("fp32", 128): 38.369e9, ("fp16", 128): 76.738e9, ("int8", 128): 153.48e9}),
    ],
)
def test_rates_agree_with_published_measurements(
    topology: Topology, clock: float, measured: dict[tuple[str, int], float]
) -> None:
    micro = identify(topology)
    for (number_format, bits), flops_per_second in measured.items():
        rate = theoretical_flops_per_cycle(micro, number_format, bits)
        assert not isinstance(rate, Unknown)
        assert flops_per_second == pytest.approx(rate * clock, rel=0.02), (number_format, bits)


def test_matrix_units() -> None:
    micro = identify(intel(0x8F))
    # 3.7868 TFLOP/s bf16 and 7.5718 TOP/s int8 on one core of a Xeon Gold 6455B
    assert theoretical_flops_per_cycle(micro, "bf16", 0, engine="matrix") == 1024
    assert theoretical_flops_per_cycle(micro, "int8", 0, engine="matrix") == 2048
    assert isinstance(theoretical_flops_per_cycle(micro, "fp32", 0, engine="matrix"), Unknown)
    assert isinstance(theoretical_flops_per_cycle(identify(amd(26, 2)), "bf16", 512, engine="matrix"), Unknown)


def test_widths_and_formats_that_a_core_lacks_are_unknown() -> None:
    zen2 = identify(amd(23, 0x31))
    assert theoretical_flops_per_cycle(zen2, "fp32", 32) == 4  # scalar code: two instructions of one element
    assert theoretical_flops_per_cycle(zen2, "fp64", 64) == 4
    for number_format, bits in (("fp32", 512), ("int8", 256), ("fp16", 256), ("int4", 256), ("fp64", 32)):
        assert isinstance(theoretical_flops_per_cycle(zen2, number_format, bits), Unknown)
    sapphire = identify(intel(0x8F))
    assert isinstance(theoretical_flops_per_cycle(sapphire, "bf16", 256), Unknown)


def test_each_core_of_a_hybrid_processor_has_its_own_design() -> None:
    big = CoreType((0, 1), family=6, model=0x97, role="performance")
    little = CoreType((2, 3), family=6, model=0x97, role="efficiency")
    topology = computer("GenuineIntel", big, little)
    names = [getattr(identify(topology, cpu), "id", None) for cpu in (None, 0, 3, 9)]
    assert names == ["golden-cove", "golden-cove", "gracemont", None]


def test_every_entry_has_a_source_and_sane_rates() -> None:
    entries = known_microarchitectures()
    assert len(entries) == len({e.id for e in entries}) >= 30
    for entry in entries:
        assert entry.standing.kind in STANDINGS and len(entry.standing.source) > 10
        assert re.fullmatch(r"\d{4}-\d\d", entry.standing.date)
        for widths in entry.per_cycle.values():
            assert set(widths) <= {128, 256, 512}
            assert all(0.25 <= rate <= 4 for rate in widths.values())
            throughput = [width * widths[width] for width in sorted(widths)]
            assert throughput == sorted(throughput), "wider vectors never move less per cycle"


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, rooftune.machine, rooftune.machine.spec, rooftune.machine.topology, rooftune.machine.devices;"
        "print(*sorted(m for m in ('numpy', 'onnx', 'sympy', 'psutil', 'pynvml', 'tomli_w') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
