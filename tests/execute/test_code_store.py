"""Machine code that is kept between processes: compiled once, and never run when somebody else may have changed it."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from rooftune.compiler import machine_code
from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.machine_code import compile_code
from rooftune.compiler.program import build
from rooftune.compiler.target import host_target
from rooftune.execute.code_store import CodeStore
from rooftune.execute.native_program import NativeProgram
from rooftune.graph.text import model_of_text

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compiled any more."""
    compile_code("")

    def refuse(text: str, features: tuple[str, ...]) -> None:
        raise AssertionError("it was compiled again")

    monkeypatch.setattr(machine_code, "_compiled", refuse)


def text(number: int) -> str:
    return f"define i64 @found() {{ ret i64 {number} }}"


def test_what_was_compiled_is_not_compiled_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    target = host_target()
    found = lower(model_of_text("(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Exp(x) y = Relu(a) }"))
    assert target is not None and isinstance(found, Lowered)
    x = np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)
    answers = []
    for _ in range(2):
        native = NativeProgram(build(found, target), store=CodeStore(tmp_path / "code.sqlite"))
        answers.append(native.run({"x": x})["y"])
        native.close()
        if len(answers) == 1:
            request.getfixturevalue("never")
    np.testing.assert_array_equal(*answers)
    np.testing.assert_allclose(answers[0], np.exp(x), rtol=1e-5)


@pytest.mark.usefixtures("never")
def test_other_text_and_other_features_are_other_code(tmp_path: Path) -> None:
    store = CodeStore(tmp_path / "code.sqlite")
    for one in ((text(1), ()), (text(2), ("sse2",))):
        with pytest.raises(AssertionError, match="again"):
            compile_code(*one, store)


def test_what_was_damaged_is_compiled_again(tmp_path: Path) -> None:
    path = tmp_path / "code.sqlite"
    compile_code(text(3), (), CodeStore(path))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE compiled SET code = ?", (b"\x7fELF" + bytes(100),))
    database.close()
    code = compile_code(text(3), (), CodeStore(path))
    assert code.function("found", ctypes.c_int64)() == 3


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no owners of files")
def test_what_others_may_write_is_not_run(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "code.sqlite"
    mask = os.umask(0)
    try:
        compile_code(text(4), (), CodeStore(path))
    finally:
        os.umask(mask)
    request.getfixturevalue("never")
    compile_code(text(4), (), CodeStore(path))
    path.chmod(0o666)
    with pytest.raises(AssertionError, match="again"):
        compile_code(text(4), (), CodeStore(path))


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    store = CodeStore(tmp_path / "code.sqlite", limit=300)
    store.put("a", b"a" * 100)
    store.put("b", b"b" * 100)
    assert store.get("a") == b"a" * 100
    store.put("c", b"c" * 150)
    assert (store.get("a"), store.get("b"), store.get("c")) == (b"a" * 100, None, b"c" * 150)
    store.put("d", b"d" * 301)
    assert store.get("d") is None and store.get("c") is not None


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_a_file_that_is_none_of_ours_only_forgets(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "code.sqlite"
    path.write_bytes(content)
    for _ in range(2):
        compile_code(text(5), (), CodeStore(path))


def test_a_folder_that_cannot_be_made_only_forgets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = CodeStore(tmp_path / "file" / "code.sqlite")
    compile_code(text(6), (), store)
    assert store.get("anything") is None
