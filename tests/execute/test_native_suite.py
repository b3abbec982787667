"""The ONNX backend suite on the native backend: what it compiles, what it leaves to ONNX Runtime, and both together.

The slow sweep runs every node test twice: as it is, and with constants for all inputs but the first, as models have
their weights. Otherwise those of operators that the compiler takes run with constants, and a sample of the others.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, OptionalProto, SequenceProto, TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from rooftune.compiler.lower import taken_operators
from rooftune.compiler.target import host_target
from rooftune.execute.backend import Candidate
from rooftune.execute.backends.native import BACKEND
from rooftune.execute.backends.onnxruntime import BACKEND as ONNXRUNTIME
from rooftune.execute.inputs import random_inputs
from rooftune.graph.seeded_weights import with_random_weights

from ..conftest import LIGHT_MODELS

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

PARTS = 4
SAMPLE = 100
"""Cases of other operators that every run of the tests takes; the slow sweep takes all."""

DRAWN = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
CANDIDATE = Candidate("native", {"partition": "always"}, 1)
"""Cut wherever there is a kernel: what is given back proves nothing about the compiler."""

LEAST = {"node": 1300, "simple": 15, "pytorch-converted": 60, "pytorch-operator": 20}
"""How many models of a kind run at least: a sweep that runs none must not pass."""

LEAST_COMPILED = {"node": 300, "pytorch-converted": 50, "pytorch-operator": 20}
"""And how many of them have nodes that run natively."""

Values = Sequence[Any]


@dataclass
class Swept:
    """What came of some cases: how many ran, how many of them natively in part, what is wrong, what nobody runs."""

    ran: int = 0
    compiled: int = 0
    wrong: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@cache
def cases(kind: str) -> Sequence[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes its overflow cases on purpose
        return tuple(load_model_tests(kind=kind))


def parts_of(case: Any) -> tuple[ModelProto, Values, Values]:
    """The model of a case, and what its first data set gives and expects."""
    if case.model is not None:
        proto = ModelProto()
        proto.CopyFrom(case.model)
        return proto, *[[_value(v) for v in side] for side in case.data_sets[0]]
    folder = Path(case.model_dir)
    proto = onnx.load(folder / "model.onnx")
    sides = []
    for side, infos in (("input", proto.graph.input), ("output", proto.graph.output)):
        files = sorted((folder / "test_data_set_0").glob(f"{side}_*.pb"), key=lambda p: int(p.stem.rpartition("_")[2]))
        sides.append([_read(file, info) for file, info in zip(files, infos, strict=False)])
    return proto, *sides


def _read(file: Path, info: onnx.ValueInfoProto) -> Any:
    kinds = {"sequence_type": SequenceProto, "optional_type": OptionalProto}
    found = kinds.get(info.type.WhichOneof("value") or "", TensorProto)()
    found.ParseFromString(file.read_bytes())
    return _value(found)


def _value(given: Any) -> Any:
    if isinstance(given, TensorProto):
        return numpy_helper.to_array(given)
    if isinstance(given, SequenceProto):
        return numpy_helper.to_list(given)
    found = numpy_helper.to_optional(given) if isinstance(given, OptionalProto) else given
    return np.asarray(found) if isinstance(found, np.generic) else found


def with_constants(proto: ModelProto, given: Values) -> tuple[ModelProto, Values] | None:
    """The same model with its parameters as constants; None where it has none, or they are no tensors."""
    if len(given) < 2 or not all(isinstance(v, np.ndarray) for v in given):
        return None
    names = [i.name for i in proto.graph.input]
    found = ModelProto()
    found.CopyFrom(proto)
    del found.graph.input[1:]
    found.graph.initializer.extend(numpy_helper.from_array(v, n) for v, n in zip(given[1:], names[1:], strict=False))
    return found, given[:1]


def attempt(path: Path, given: Values, *, natively: bool) -> tuple[dict[str, Any] | None, str, float]:
    """Outputs by name or None, what went wrong, and the share of nodes that ran natively."""
    try:
        model = BACKEND.load(path, CANDIDATE) if natively else _whole(path)
        try:
            names = list(model.inputs)
            return model.run(dict(zip(names, given, strict=False))), "", model.shares.nodes if natively else 0.0
        finally:
            model.close()
    except Exception as why:  # engines raise what they like
        return None, " ".join(str(why).split())[:160], 0.0


def _whole(path: Path) -> Any:
    return ONNXRUNTIME.load(path, ONNXRUNTIME.default(1))


def same(found: Any, expected: Any, case: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(a, b, case) for a, b in zip(found, expected, strict=True))
    if expected is None or not isinstance(expected, np.ndarray | np.generic):
        return bool(found == expected)
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind not in "fcV":
        return bool((found == expected).all())
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    a, b = found.astype(wide), expected.astype(wide)
    finite = np.abs(b[np.isfinite(b)])
    return bool(np.allclose(a, b, case.rtol, max(case.atol, 1e-5 * finite.max(initial=0.0)), equal_nan=True))


def check(name: str, case: Any, proto: ModelProto, given: Values, expected: Values, folder: Path, done: Swept) -> None:
    """Run one model both ways and note what came of it."""
    path = folder / "model.onnx"
    onnx.save(proto, path)
    found, why, share = attempt(path, given, natively=True)
    whole, why_whole, _ = attempt(path, given, natively=False)
    if found is None:
        if whole is None:
            done.skipped.append(f"{name}: {why_whole}")
        else:
            done.wrong.append(f"{name}: {why}")
        return
    done.ran += 1
    done.compiled += share > 0
    if any(node.op_type in DRAWN for node in proto.graph.node):
        return
    names = [o.name for o in proto.graph.output]
    answers = [found[n] for n in names]
    right = all(same(a, b, case) for a, b in zip(answers, expected, strict=False))
    # where ONNX Runtime itself is off what the suite says, it is followed
    followed = whole is not None and all(same(a, whole[n], case) for a, n in zip(answers, names, strict=True))
    if not right and not followed:
        done.wrong.append(f"{name}: other answers than {'the suite' if whole is None else 'ONNX Runtime'}")


def sweep(chosen: Sequence[Any], folder: Path, *, plain: bool = True, constants: bool = False) -> Swept:
    """Run cases as they are, and with constants for parameters; those without any always as they are."""
    done = Swept()
    for case in chosen:
        proto, given, expected = parts_of(case)
        changed = with_constants(proto, given) if constants else None
        if plain or changed is None:
            check(case.name, case, proto, given, expected, folder, done)
        if changed is not None:
            check(f"{case.name} with constants", case, *changed, expected, folder, done)
    return done


def of_taken_operators(case: Any) -> bool:
    return case.model is not None and {n.op_type for n in case.model.graph.node} <= taken_operators().keys()


@pytest.mark.parametrize("part", range(PARTS))
def test_what_the_compiler_takes(part: int, tmp_path: Path) -> None:
    chosen = [case for case in cases("node") if of_taken_operators(case)]
    done = sweep(chosen[part::PARTS], tmp_path, plain=False, constants=True)
    assert not done.wrong, "\n".join(done.wrong)
    assert done.compiled >= LEAST_COMPILED["node"] // PARTS


def test_a_sample_of_everything_else(tmp_path: Path) -> None:
    others = [case for case in cases("node") if not of_taken_operators(case)]
    done = sweep(random.Random(0).sample(others, SAMPLE), tmp_path)
    assert not done.wrong, "\n".join(done.wrong)
    assert done.ran >= SAMPLE // 2, done.skipped


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(2 * PARTS))
def test_every_node_model(part: int, tmp_path: Path) -> None:
    done = sweep(cases("node")[part :: 2 * PARTS], tmp_path, constants=True)
    assert not done.wrong, "\n".join(done.wrong)
    assert done.ran >= LEAST["node"] // (2 * PARTS)


@pytest.mark.parametrize("kind", ["simple", "pytorch-converted", "pytorch-operator"])
def test_small_models(kind: str, tmp_path: Path) -> None:
    done = sweep(cases(kind), tmp_path)
    assert not done.wrong, "\n".join(done.wrong)
    assert done.ran >= LEAST[kind], done.skipped
    assert done.compiled >= LEAST_COMPILED.get(kind, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in LIGHT_MODELS.glob("*.onnx")))
def test_light_models(name: str, tmp_path: Path) -> None:
    path = with_random_weights(LIGHT_MODELS / f"{name}.onnx", tmp_path / "model.onnx", end_with_logits=True)
    model, whole = BACKEND.load(path, CANDIDATE), _whole(path)
    feed = random_inputs(model.inputs)
    found, expected = model.run(feed), whole.run(feed)
    shares = model.shares
    model.close()
    assert list(found) == list(expected) and shares.nodes > 0
    for output, wanted in expected.items():
        assert np.ptp(wanted) > 0
        assert np.abs(found[output] - wanted).max() <= 1e-4 * np.abs(wanted).max()
