"""The light view of a graph and the graph of onnx_ir say the same: every figure, every kernel, every warning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rooftune.analysis.analyze import Analysis, analyze
from rooftune.graph.load import load, load_proto
from rooftune.graph.model import Model
from rooftune.machine.devices import find_machine

from ..pipeline.test_backend_suite import LEAST, suite

MACHINE = find_machine("intel-xeon-platinum-8480plus")
LEAST_FLAT = {"node": 1200, "simple": 3, "pytorch-converted": 80, "pytorch-operator": 30, "light": 9}
"""How many models have the light view at least: where none has, nothing is compared."""


def analysed_both_ways(loaded: Callable[[], Model]) -> tuple[Analysis, Analysis] | None:
    """The analysis by the light view and by the graph of onnx_ir; None where the model has no light view."""
    light, full = loaded(), loaded()
    assert light.warnings == full.warnings
    if light.flat is None:
        return None
    assert full.ir.graph is not None
    assert full.flat is None
    answers = analyze(light, MACHINE), analyze(full, MACHINE)
    assert "ir" not in vars(light), "the analysis built the graph after all"
    return answers


def differences(name: str, answers: tuple[Analysis, Analysis]) -> list[str]:
    light, full = answers
    found = [] if light == full else [f"{name}: the analyses differ"]
    return found if light.kernels == full.kernels else [*found, f"{name}: the kernels differ"]


@pytest.mark.parametrize("kind", LEAST)
def test_the_backend_suite_both_ways(kind: str) -> None:
    wrong: list[str] = []
    compared = 0
    for name, loaded in suite(kind):
        answers = analysed_both_ways(loaded)
        if answers is not None:
            compared += 1
            wrong += differences(name, answers)
    assert not wrong, "\n".join(wrong)
    assert compared >= LEAST_FLAT[kind], compared
