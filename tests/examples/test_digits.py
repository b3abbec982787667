"""The digits example: its model, its arrays, its split, and the script that made them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime as ort
import pytest

FILES = {"digits.onnx", "calibration.npz", "test.npz"}


@pytest.fixture(scope="module")
def model(examples: Path) -> onnx.ModelProto:
    return onnx.load(examples / "digits" / "digits.onnx", load_external_data=False)


@pytest.fixture(scope="module")
def images_module(examples: Path) -> ModuleType:
    """The module `images` of the example, under a name of its own."""
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("digits_images", examples / "digits" / "images.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def _accuracy(model: Path, test: Path) -> float:
    with np.load(test) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {"images": images})[0]
    return float((logits.argmax(axis=1) == labels).mean())


def test_model_is_valid_small_and_whole(examples: Path, model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert (examples / "digits" / "digits.onnx").stat().st_size <= 1 << 20
    assert all(t.data_location != onnx.TensorProto.EXTERNAL for t in model.graph.initializer)
    assert {o.domain: o.version for o in model.opset_import}[""] >= 17


def test_model_has_a_named_open_batch(model: onnx.ModelProto) -> None:
    assert [(v.name, _shape(v)) for v in model.graph.input] == [("images", ["N", 1, 32, 32])]
    assert [(v.name, _shape(v)) for v in model.graph.output] == [("logits", ["N", 10])]


def test_model_is_a_mobile_network(model: onnx.ModelProto) -> None:
    groups = [
        next((a.i for a in node.attribute if a.name == "group"), 1)
        for node in model.graph.node
        if node.op_type == "Conv"
    ]
    parameters = sum(int(np.prod(t.dims)) for t in model.graph.initializer)
    assert sum(g > 1 for g in groups) == 7  # a depthwise convolution in each block
    assert 50_000 <= parameters <= 200_000


def test_model_names_no_folder_of_the_machine_it_was_made_on(examples: Path) -> None:
    content = (examples / "digits" / "digits.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_model_recognises_unseen_digits(examples: Path) -> None:
    assert _accuracy(examples / "digits" / "digits.onnx", examples / "digits" / "test.npz") >= 0.97


@pytest.mark.parametrize(
    "file, count, keys", [("calibration.npz", 200, {"images"}), ("test.npz", 360, {"images", "labels"})]
)
def test_arrays_are_as_documented(examples: Path, file: str, count: int, keys: set[str]) -> None:
    with np.load(examples / "digits" / file, allow_pickle=False) as arrays:
        assert set(arrays) == keys
        images = arrays["images"]
        assert (images.dtype, images.shape) == (np.dtype(np.float32), (count, 1, 32, 32))
        assert (images.min(), images.max()) == (0, 1)
        if "labels" in keys:
            assert (arrays["labels"].dtype, arrays["labels"].shape) == (np.dtype(np.int64), (count,))
            assert set(arrays["labels"]) == set(range(10))


def test_split_is_disjoint_and_complete(images_module: ModuleType) -> None:
    split = images_module.load_split()
    train, test = set(split.train_rows.tolist()), set(split.test_rows.tolist())
    assert train.isdisjoint(test)
    assert train | test == set(range(len(split.images)))
    assert len(split.train_rows) + len(split.test_rows) == len(split.images) == 1797
    assert set(split.calibration_rows.tolist()) <= train


def test_written_arrays_are_those_of_the_split(examples: Path, images_module: ModuleType) -> None:
    split = images_module.load_split()
    with np.load(examples / "digits" / "test.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], split.images[split.test_rows])
        np.testing.assert_array_equal(arrays["labels"], split.labels[split.test_rows])
    with np.load(examples / "digits" / "calibration.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], split.images[split.calibration_rows])


def test_no_test_image_is_also_a_training_image(images_module: ModuleType) -> None:
    split = images_module.load_split()
    seen = {image.tobytes() for image in split.images[split.train_rows]}
    assert not [image for image in split.images[split.test_rows] if image.tobytes() in seen]


@pytest.mark.slow
def test_training_runs_end_to_end(examples: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, str(examples / "digits" / "train.py"), "--epochs", "1", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == FILES
    for name in FILES:
        assert name in done.stdout
    # one epoch teaches next to nothing, but what it leaves has the form of the real thing and is another model
    assert 0 < _accuracy(tmp_path / "digits.onnx", tmp_path / "test.npz") < 0.97
    for name in FILES - {"digits.onnx"}:
        with np.load(tmp_path / name) as written, np.load(examples / "digits" / name) as kept:
            assert set(written) == set(kept)
            for key in written:
                np.testing.assert_array_equal(written[key], kept[key])
