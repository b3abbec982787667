"""Every model of the ONNX backend suite is analysed; whose work cannot be stated is listed here, with the reason."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from onnx import ModelProto
from onnx.backend.test.loader import load_model_tests

from rooftune.analysis.analyze import Analysis, analyze
from rooftune.graph.load import load, load_proto
from rooftune.graph.model import Model
from rooftune.machine.devices import find_machine
from rooftune.records import plain

from ..conftest import LIGHT_MODELS


class Expected(NamedTuple):
    """Operators whose work is unknown in some models, why, and which models those are."""

    operators: str
    reason: str
    models: str


UNKNOWN = (
    # what is done depends on data
    Expected("ImageDecoder", r"follows the image format", "test_image_decoder_*"),
    Expected("NonMaxSuppression", r"decided by the scores", "test_nonmaxsuppression_*"),
    Expected("RegexFullMatch", r"depends on the strings", "test_regex_full_match_*"),
    Expected("StringSplit", r"takes as long as they are", "test_string_split_*"),
    Expected("StringNormalizer", r"takes as long as they are", "test_strnorm*"),
    Expected("Loop", r"trip count is decided at run time", "test_loop1*"),
    Expected("Loop", r"trip count is decided at run time", "test_range_*_delta_expanded"),
    Expected("Loop", r"trip count is decided at run time", "test_sequence_map_*_expanded"),
    Expected("SequenceMap", r"length of the sequence is decided at run time", "test_sequence_map_*"),
    # sizes are computed inside an If whose condition is data
    Expected("If MatMul Mul Add", r"the shape of AffineGrid_\w+ is not known", "test_affine_grid_*_expanded"),
    # other operator sets: classical learning, training, previews
    Expected(
        "ai.onnx.ml::ArrayFeatureExtractor ai.onnx.ml::Binarizer ai.onnx.ml::LabelEncoder ai.onnx.ml::TreeEnsemble",
        r"no formula for ai\.onnx\.ml::",
        "test_ai_onnx_ml_*",
    ),
    Expected("ai.onnx.preview::FlexAttention", r"no formula for", "test_flexattention*"),
    Expected("ai.onnx.preview.training::Adagrad", r"no formula for", "test_adagrad*"),
    Expected("ai.onnx.preview.training::Adam", r"no formula for", "test_adam*"),
    Expected("ai.onnx.preview.training::Momentum", r"no formula for", "test_*momentum*"),
    Expected("ai.onnx.preview.training::Gradient", r"no formula for", "test_gradient_of_*"),
)

LEAST = {"node": 1600, "simple": 20, "pytorch-converted": 80, "pytorch-operator": 30, "light": 9}
"""How many models the suite has at least: a loader that finds none must not pass."""


def suite(kind: str) -> Iterator[tuple[str, Callable[[], Model]]]:
    """Name and loader of every model of a kind; each call of a loader loads afresh."""
    if kind == "light":
        for path in sorted(LIGHT_MODELS.glob("*.onnx")):
            yield path.stem, partial(load, path)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes its overflow cases on purpose
        cases = load_model_tests(kind=kind)
    for case in cases:
        if case.model:
            yield case.name, partial(load_copy, case.model)
        else:
            yield case.name, partial(load, Path(case.model_dir) / "model.onnx")


def load_copy(proto: ModelProto) -> Model:
    copy = ModelProto()
    copy.CopyFrom(proto)
    return load_proto(copy)  # which may change what it is given


def row_of(name: str, operator: str, reason: str) -> Expected | None:
    return next(
        (
            row
            for row in UNKNOWN
            if operator in row.operators.split() and re.search(row.reason, reason) and fnmatch(name, row.models)
        ),
        None,
    )


def complaints(name: str, analysis: Analysis) -> list[str]:
    """What is wrong with the answer for one model."""
    found = [f"{name}: {u.op} is unknown: {u.reason}" for u in analysis.unknown if row_of(name, u.op, u.reason) is None]
    if (analysis.totals.coverage < 1) != bool(analysis.unknown):
        found.append(f"{name}: coverage {analysis.totals.coverage} with {len(analysis.unknown)} unknown nodes")
    if not 0 <= analysis.totals.coverage <= 1:
        found.append(f"{name}: coverage {analysis.totals.coverage}")
    try:
        json.dumps(plain(analysis), allow_nan=False)
    except (TypeError, ValueError) as why:
        found.append(f"{name}: no JSON: {why}")
    return found


@pytest.mark.parametrize("kind", LEAST)
def test_every_model_is_analysed(kind: str) -> None:
    machine = find_machine("intel-xeon-platinum-8480plus")
    wrong: list[str] = []
    met: set[Expected] = set()
    count = 0
    for name, loaded in suite(kind):
        count += 1
        analysis = analyze(loaded(), machine)
        wrong += complaints(name, analysis)
        met |= {row for u in analysis.unknown if (row := row_of(name, u.op, u.reason))}
    assert not wrong, "\n".join(wrong)
    assert count >= LEAST[kind]
    if kind == "node":
        elsewhere = ("test_strnorm", "test_gradient")  # of the kind "simple"
        stale = [row for row in UNKNOWN if row not in met and not row.models.startswith(elsewhere)]
        assert not stale, f"these rows describe nothing any more: {stale}"
