import subprocess
import sys

import pytest

from rooftune.errors import InputError, MissingDependency
from rooftune.execute.backend import Candidate, find_backend, known_backends, present_backends
from rooftune.execute.backends.openvino import OpenVino


def test_backends_are_found_by_their_files() -> None:
    assert {"onnxruntime", "openvino"} <= set(known_backends())
    assert "onnxruntime" in present_backends()[0]


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match="onnxruntime, openvino"):
        find_backend("onnxrumtime")


def test_an_absent_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refusal = OpenVino().available()
    assert refusal is not None and "pip install rooftune[openvino]" in refusal.reason
    assert "openvino" in present_backends()[1]
    with pytest.raises(MissingDependency, match="pip install"):
        find_backend("openvino")


def test_listing_backends_imports_no_engine() -> None:
    program = (
        "import sys; from rooftune.execute.backend import present_backends as p; "
        "[b.space(2, o) for b in p()[0].values() for o in ('latency', 'throughput')]; "
        "print([m for m in ('onnxruntime', 'openvino', 'torch', 'onnx') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


def test_candidates_compare_by_what_they_are() -> None:
    one = Candidate("b", {"x": 1, "y": 2}, 2, label="fast")
    assert one == Candidate("b", {"y": 2, "x": 1}, 2, label="fast") and one.name == "b(fast) ×2 threads"
    assert len({one, Candidate("b", {"y": 2, "x": 1}, 2, label="fast"), Candidate("b", {}, 2)}) == 2
    with pytest.raises(TypeError):
        one.settings["x"] = 3  # type: ignore[index]
    with pytest.raises(InputError):
        Candidate("b", {}, 0)
