"""What a model is asked for before it is run."""

from __future__ import annotations

import onnx
import pytest

from rooftune.errors import InputError
from rooftune.pipeline.prepare import open_model, require_complete


def remedy(tmp_path: object, signature: str, body: str) -> str:
    text = f'<ir_version: 8, opset_import: ["" : 17]>\ng ({signature}) {{\n{body}\n}}'
    path = f"{tmp_path}/open.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    with pytest.raises(InputError) as caught:
        require_complete(open_model(path))
    return caught.value.remedy or ""


def test_every_open_input_is_named(tmp_path: object) -> None:
    found = remedy(tmp_path, "float[N, S] a, int64[N, S] b) => (float[N, S] c", "d = Cast<to = 1>(b)\nc = Add(a, d)")
    assert "--shape a=1x1 --shape b=1x1" in found and "--batch" not in found, "a batch would leave S open"


def test_a_batch_is_enough_where_only_the_first_dimension_is_open(tmp_path: object) -> None:
    found = remedy(tmp_path, "float[N, 3] a, float[2, 3] b) => (float[N, 3] c", "d = Relu(b)\nc = Relu(a)")
    assert "--batch N or --shape a=1x3" in found and "b=" not in found


def test_many_open_inputs_stay_one_line(tmp_path: object) -> None:
    names = [f"x{i}" for i in range(9)]
    signature = ", ".join(f"float[N, M] {n}" for n in names) + ") => (float[N, M] y"
    found = remedy(tmp_path, signature, f"y = Sum({', '.join(names)})")
    assert "x3=1x1 ..." in found and "x4=" not in found
