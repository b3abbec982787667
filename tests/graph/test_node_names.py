"""Every node has a name of its own after loading."""

from __future__ import annotations

from pathlib import Path

import onnx

from rooftune.graph.load import load


def test_unnamed_and_repeated_names_become_distinct(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17]> g (float[4] x) => (float[4] y) '
        "{ a = Relu (x)\n b = Relu (a)\n c = Tanh (b)\n d = Tanh (c)\n y = Relu (d) }"
    )
    for node, name in zip(model.graph.node, ("", "same", "same", "Relu_0", ""), strict=True):
        node.name = name
    onnx.save(model, tmp_path / "m.onnx")
    names = [n.name for n in load(tmp_path / "m.onnx").graph]
    assert len(set(names)) == 5
    assert names[1] == "same"
    assert names[3] == "Relu_0"
    assert names[4] == "Relu_4"
