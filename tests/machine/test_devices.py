"""The catalog: complete, consistent, and easy to search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from rooftune.errors import InputError
from rooftune.machine.devices import find_machine, list_machines
from rooftune.machine.files import write_machine
from rooftune.machine.self_check import self_check
from rooftune.machine.spec import Bandwidth, Machine, Peak, Standing
from rooftune.quantities import Unknown

CATALOG = list_machines().machines


def figures(machine: Machine) -> Iterator[Peak | Bandwidth]:
    yield from machine.peaks
    for level in machine.levels:
        yield from level.bandwidths


@pytest.mark.parametrize("machine", CATALOG, ids=lambda m: m.id)
def test_the_figures_of_a_machine_agree_with_each_other(machine: Machine) -> None:
    assert self_check(machine) == []
    assert machine.date and machine.vendor
    for figure in figures(machine):
        assert figure.standing.kind in ("measured", "datasheet", "derived", "third-party", "estimate")
        assert figure.standing.source and figure.standing.date


def test_the_catalog_is_large_and_its_ids_name_its_files() -> None:
    assert len(CATALOG) >= 35
    files = {f.name for f in resources.files("rooftune.machine").joinpath("catalog").iterdir()}
    assert files == {f"{m.id}.toml" for m in CATALOG}


def test_machines_with_nothing_known_say_so() -> None:
    empty = [m for m in CATALOG if not list(figures(m))]
    assert [m.id for m in empty] == ["ambarella-cv22"]
    assert isinstance(empty[0].peak("int8"), Unknown) and isinstance(empty[0].ridge(), Unknown)


@pytest.mark.parametrize(
    ("name", "number_format", "peak", "bandwidth"),
    [
        ("nvidia-h100-sxm", "bf16", 989e12, 3350e9),
        ("nvidia-h200-sxm", "int8", 1979e12, 4800e9),
        ("nvidia-rtx-a4000", "fp16", 76.7e12, 448e9),  # the sheet prints 153.4 with sparsity
        ("nvidia-a100-40gb", "fp16", 312e12, 1555e9),
        ("nvidia-a100-80gb-pcie", "fp16", 312e12, 1935e9),
        ("nvidia-l4", "int8", 242e12, 300e9),
        ("nvidia-jetson-agx-orin-64gb", "int8", 85e12, 204.8e9),
        ("amd-mi300x", "fp16", 1307e12, 5300e9),
        ("google-tpu-v5e", "bf16", 197e12, 819e9),
        ("raspberry-pi-4", "fp32", 47.88e9, 5.5e9),
    ],
)
def test_known_figures(name: str, number_format: str, peak: float, bandwidth: float) -> None:
    machine = find_machine(name)
    assert machine.peak(number_format) == peak
    assert machine.bandwidth() == bandwidth


def test_disputed_and_estimated_figures_carry_a_note() -> None:
    noted = [f for m in CATALOG for f in figures(m) if f.standing.kind == "estimate"]
    assert noted and all(f.standing.note for f in noted)
    assert "2.0" in find_machine("hisilicon-hi3519av100").peaks[0].standing.note


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nvidia-t4", "nvidia-t4"),
        ("NVIDIA T4", "nvidia-t4"),
        ("t4", "nvidia-t4"),
        ("H200", "nvidia-h200-sxm"),
        ("l4", "nvidia-l4"),  # also the beginning of l40s, but exactly this one
        ("nvidia-jetson-agx", "nvidia-jetson-agx-orin-64gb"),
        ("raspberry pi 5", "raspberry-pi-5"),
        ("Apple M1 Neural", "apple-m1-ane"),
    ],
)
def test_names_are_found(name: str, found: str) -> None:
    assert find_machine(name).id == found


def test_a_wrong_name_gets_close_matches() -> None:
    with pytest.raises(InputError) as caught:
        find_machine("nvidia-t5")
    assert "nvidia-t4" in caught.value.remedy and "'nvidia-t5'" in caught.value.cause
    with pytest.raises(InputError, match="machine list"):
        find_machine("zzzzqqqq")
    with pytest.raises(InputError):
        find_machine("")


def test_an_ambiguous_beginning_lists_the_candidates() -> None:
    with pytest.raises(InputError) as caught:
        find_machine("nvidia-a100")
    assert "nvidia-a100-40gb" in caught.value.remedy and "nvidia-a100-80gb-sxm" in caught.value.remedy


def test_user_files_come_first_and_broken_ones_do_not_hide_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "machines"
    mine = replace(find_machine("nvidia-t4"), name="My T4", notes=("undervolted",))
    write_machine(mine, folder / "mine.toml")
    write_machine(replace(mine, id="bench-box"), folder / "bench.toml")
    (folder / "broken.toml").write_text("id = 3")
    listing = list_machines(tmp_path)
    assert len(listing.machines) == len(CATALOG) + 1
    assert len(listing.problems) == 1 and "broken.toml" in listing.problems[0]
    assert find_machine("nvidia-t4", tmp_path) == mine
    assert find_machine("bench-box", tmp_path).notes == ("undervolted",)
    with pytest.raises(InputError, match="broken"):
        find_machine("broken", tmp_path)
    assert find_machine(str(folder / "mine.toml")) == mine
    assert find_machine("nvidia-t4").name == "NVIDIA T4"


def test_a_replaced_machine_does_not_make_its_own_name_ambiguous(tmp_path: Path) -> None:
    mine = replace(find_machine("h200"), name="NVIDIA H200 SXM at 500 W")
    write_machine(mine, tmp_path / "machines" / "mine.toml")
    assert find_machine("h200", tmp_path) == mine


def test_two_user_files_with_one_id_are_reported(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_machine(Machine("same", name, "cpu", (), ()), tmp_path / "machines" / f"{name}.toml")
    listing = list_machines(tmp_path)
    assert find_machine("same", tmp_path).name == "a"
    assert len(listing.problems) == 1 and "b.toml" in listing.problems[0]


def test_a_home_without_a_folder_is_no_error(tmp_path: Path) -> None:
    assert list_machines(tmp_path).machines == CATALOG


def _changed(name: str, index: int, **changes: object) -> Machine:
    machine = find_machine(name)
    peaks = list(machine.peaks)
    peaks[index] = replace(peaks[index], **changes)  # type: ignore[arg-type]
    return replace(machine, peaks=tuple(peaks))


def test_self_check_finds_each_kind_of_slip() -> None:
    """The mistakes that real tables hold, put into good machines one at a time."""
    h100 = find_machine("nvidia-h100-sxm")
    assert any("clock" in p for p in self_check(_changed("nvidia-h100-sxm", 1, flops_per_second=1979e12)))
    sparse_int8 = _changed("nvidia-h100-sxm", 3, flops_per_second=3958e12, clock_hz=None, lanes=None, units=None)
    assert any("twice the FP16" in p for p in self_check(sparse_int8))
    assert any("belong together" in p for p in self_check(_changed("nvidia-h100-sxm", 1, units=None)))
    a4000 = _changed("nvidia-rtx-a4000", 1, flops_per_second=153.4e12)
    assert any("half of the sparse" in p for p in self_check(a4000))
    dram = replace(h100.levels[0], bandwidths=(replace(h100.levels[0].bandwidths[0], bytes_per_second=300e9),))
    assert any("transfers/s" in p for p in self_check(replace(h100, levels=(dram,))))
    kilo = replace(dram, bandwidths=(Bandwidth(3350e6, Standing("estimate", "x", "2026")),))
    assert any("ridge" in p for p in self_check(replace(h100, levels=(kilo,))))
    half = replace(dram, bandwidths=(replace(h100.levels[0].bandwidths[0], bus_bits=None),))
    assert any("belong together" in p for p in self_check(replace(h100, levels=(half,))))
