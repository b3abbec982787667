from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from rooftune.errors import InputError
from rooftune.execute.backend import TensorSpec
from rooftune.execute.inputs import random_inputs, read_inputs

_SPECS = {
    "image": TensorSpec("float32", (1, 3, 8, 8)),
    "index": TensorSpec("int64", (200,)),
    "mask": TensorSpec("bool", (100,)),
    "half": TensorSpec("bfloat16", (10,)),
    "quarter": TensorSpec("float8e4m3fn", (10,)),
    "nibble": TensorSpec("uint4", (10,)),
    "none": TensorSpec("float32", (0, 4)),
}


def test_inputs_are_of_the_types_asked_for_and_repeat() -> None:
    first, again, other = random_inputs(_SPECS), random_inputs(_SPECS), random_inputs(_SPECS, seed=1)
    assert {n: a.shape for n, a in first.items()} == {n: s.shape for n, s in _SPECS.items()}
    assert first["image"].dtype == np.float32 and np.ptp(first["image"]) > 1
    assert first["half"].dtype.name == "bfloat16" and first["quarter"].dtype.name == "float8_e4m3fn"
    assert set(first["mask"].tolist()) == {True, False}
    assert 0 <= first["index"].min() < first["index"].max() < 8
    for name, array in first.items():
        assert array.tobytes() == again[name].tobytes()
    assert first["image"].tobytes() != other["image"].tobytes()


def test_an_input_does_not_depend_on_the_others() -> None:
    alone = random_inputs({"image": _SPECS["image"]})
    assert np.array_equal(alone["image"], random_inputs(_SPECS)["image"])


def test_bounds_are_obeyed() -> None:
    drawn = random_inputs({"index": _SPECS["index"]}, bounds={"index": (100, 103)})["index"]
    assert set(drawn.tolist()) == {100, 101, 102}


def test_open_shapes_and_strings_are_refused() -> None:
    with pytest.raises(InputError, match="--shape x=1x3"):
        random_inputs({"x": TensorSpec("float32", (None, 3))})
    with pytest.raises(InputError, match="string"):
        random_inputs({"x": TensorSpec("string", (1,))})


def test_a_file_comes_back_as_it_is(tmp_path: Path) -> None:
    arrays = random_inputs(_SPECS)
    np.savez(tmp_path / "data.npz", **arrays)
    read = read_inputs(tmp_path / "data.npz", _SPECS)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and read[name].tobytes() == array.tobytes()


def test_open_dimensions_take_any_size(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "data.npz", x=np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(2, 3)))
    read = read_inputs(tmp_path / "data.npz", {"x": TensorSpec("float32", ("N", 3))})
    assert read["x"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"y": np.ones((2, 3), np.float32)}, "'y', which is no input"),
        ({}, "no array called 'x'"),
        ({"x": np.ones((2, 3), np.float64)}, "float64, expected float32"),
        ({"x": np.ones((2, 3, 1), np.float32)}, "rank 3, expected 2"),
        ({"x": np.ones((2, 4), np.float32)}, "shape 2x4, expected 2x3"),
        ({"x": np.array([[object()]])}, "objects"),
    ],
)
def test_what_does_not_fit_is_said_with_what_is_expected(
    tmp_path: Path, given: dict[str, np.ndarray], said: str
) -> None:
    np.savez(tmp_path / "data.npz", **given)
    with pytest.raises(InputError, match=said) as caught:
        read_inputs(tmp_path / "data.npz", {"x": TensorSpec("float32", (2, 3))})
    assert "x: float32[2,3]" in caught.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    specs = {"x": TensorSpec("float32", (2,))}
    with pytest.raises(InputError, match="no file"):
        read_inputs(tmp_path / "nowhere.npz", specs)
    with pytest.raises(InputError, match="folder"):
        read_inputs(tmp_path, specs)
    (tmp_path / "junk.npz").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="not a readable"):
        read_inputs(tmp_path / "junk.npz", specs)


def test_a_small_file_that_claims_much_allocates_nothing(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match="declares 4000000000000 bytes"):
        read_inputs(tmp_path / "bomb.npz", {"x": TensorSpec("float32", (None,))})
