"""The public functions: what they answer in Python, on networks of real size too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import rooftune
from rooftune.machine.spec import Machine
from rooftune.pipeline.samples import open_with_samples

from .. import models

XEON = "intel-xeon-platinum-8480plus"


def test_everything_public_is_there() -> None:
    for name in rooftune.__all__:
        assert getattr(rooftune, name) is not None
    assert set(rooftune.__all__) <= set(dir(rooftune))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rooftune.nonsense


@pytest.mark.parametrize(
    ("name", "params", "macs"), [("resnet50", 25_557_032, 4_089_184_256), ("squeezenet", 1_235_496, 349_151_936)]
)
def test_networks_with_seeded_weights(name: str, params: int, macs: int, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(name)
    found = rooftune.analyze(path, machine=XEON)
    assert (found.totals.params, found.totals.macs) == (params, macs)
    assert found.totals.coverage == 1.0
    assert not found.unknown
    int8 = rooftune.analyze(path, machine=XEON, number_format="int8")
    assert int8.totals.roof_seconds < found.totals.roof_seconds  # type: ignore[operator]


def test_seeded_weights_prove_something(squeezenet: Path) -> None:
    session = onnxruntime.InferenceSession(str(squeezenet), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    outputs = [
        session.run(None, {given.name: np.random.default_rng(i).standard_normal(given.shape).astype(np.float32)})[0]
        for i in range(2)
    ]
    assert all(np.isfinite(o).all() and np.ptp(o) > 0 for o in outputs)
    assert not np.array_equal(*outputs)


def test_an_if_costs_its_dearer_branch(branching: Path) -> None:
    found = rooftune.analyze(branching, machine=XEON)
    assert found.totals.macs == 4 * 8 * 8
    assert found.totals.coverage == 1.0


def test_what_a_branch_reads_from_outside_counts(branching: Path) -> None:
    found = rooftune.analyze(branching, machine=XEON)
    assert found.totals.params == 8 * 8
    choice = next(n for n in found.nodes if n.name == "choice")
    assert choice.bytes["unfused"] == 1 + 4 * (4 * 8 + 8 * 8 + 4 * 8)


def test_zero_size_tensors_cost_nothing(zero_size: Path) -> None:
    found = rooftune.analyze(zero_size, machine=XEON)
    nothing = next(n for n in found.nodes if n.name == "nothing")
    assert nothing.macs == 0
    assert found.totals.macs == 4 * 8 * 6


def test_external_data_is_read_where_it_lies(tmp_path: Path, host: Machine) -> None:
    path = models.external(tmp_path / "m.onnx", "weights/part.bin")
    assert rooftune.analyze(path, machine=XEON).totals.params == 16 * 12
    out = tmp_path / "out"
    outcome = rooftune.optimize(path, out, backends=["onnxruntime"], threads=1, budget=0.5, machine=host)
    assert outcome.record.verification is not None
    assert outcome.record.verification.passed
    assert (out / "weights" / "part.bin").read_bytes() == (tmp_path / "weights" / "part.bin").read_bytes()
    with rooftune.load(out) as run:
        x = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
        assert np.ptp(run({"x": x})["y"]) > 0


@pytest.mark.parametrize("as_file", [False, True])
def test_given_inputs_bind_open_dimensions(as_file: bool, open_conv_net: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "data.npz", image=image)
    given = tmp_path / "data.npz" if as_file else {"image": image}
    model, samples = open_with_samples(open_conv_net, given, shapes=None, batch=None, seed=0)
    assert dict(model.bindings) == {"N": 3}
    assert not model.open_dimensions
    (sample,) = samples
    assert np.array_equal(sample["image"], image)


def test_random_inputs_follow_the_seed_and_the_tables_they_look_up(tmp_path: Path) -> None:
    path = models.lookup(tmp_path / "lookup.onnx", rows=3)
    drawn = [open_with_samples(path, None, shapes=None, batch=None, seed=s)[1] for s in (0, 0, 1)]
    assert all(np.array_equal(a["index"], b["index"]) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not all(np.array_equal(a["index"], b["index"]) for a, b in zip(drawn[0], drawn[2], strict=True))
    assert {int(i) for s in drawn[0] for i in s["index"]} == {0, 1, 2}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"objective": "fame"}, "'fame' is not known"),
        ({"budget": 0.0}, "allows no measurement"),
        ({"budget": float("nan")}, "allows no measurement"),
        ({"seed": -1}, "seed is -1"),
        ({"threads": 0}, "no number of threads"),
        ({"backends": []}, "names none"),
        ({"inputs": {}}, r"expected \['image'\]"),
        ({"inputs": {"image": np.zeros((1, 3, 32, 32))}}, "float64"),
        ({"inputs": {"image": np.zeros((1, 3, 32), np.float32)}}, r"shape \[1, 3, 32\]"),
        ({"inputs": 3}, "given as int"),
    ],
)
def test_wrong_arguments_write_nothing(changes: dict[str, object], cause: str, conv_net: Path, tmp_path: Path) -> None:
    with pytest.raises(rooftune.InputError, match=cause):
        rooftune.optimize(conv_net, tmp_path / "out", **changes)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_source_of_another_kind_is_refused() -> None:
    with pytest.raises(rooftune.InputError, match="found int"):
        rooftune.analyze(3)
