"""The run folder is written whole or not at all, and never over somebody else's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rooftune.deploy.run_folder import check_target, replaced_atomically
from rooftune.errors import InputError


def run_folder(path: Path) -> Path:
    path.mkdir()
    (path / "record.json").write_text("{}")
    (path / "deployment.toml").write_text("")
    return path


def content(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_new_and_empty_and_old_run_folders_are_welcome(tmp_path: Path) -> None:
    check_target(tmp_path / "new")
    check_target(tmp_path / "deep" / "down" / "new")
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    check_target(run_folder(tmp_path / "old"))
    assert content(tmp_path) == ["empty", "old"], "asking changes nothing"


def test_somebody_elses_folder_needs_force(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="no run folder"):
        check_target(tmp_path / "mine")
    check_target(tmp_path / "mine", force=True)
    with pytest.raises(InputError, match="not a folder"):
        check_target(tmp_path / "mine" / "thesis.tex", force=True)


def test_what_is_in_use_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    (models / "deep").mkdir(parents=True)
    model = models / "deep" / "m.onnx"
    model.touch()
    for keep in (model, models / "deep"):
        with pytest.raises(InputError, match="lies in it"):
            check_target(models, force=True, keep=[keep])
    (tmp_path / "link").symlink_to(models)
    with pytest.raises(InputError, match="lies in it"):
        check_target(tmp_path / "link", force=True, keep=[model])
    old = run_folder(tmp_path / "old")
    check_target(old, keep=[old / "model.onnx"])  # its model is copied before the folder goes
    monkeypatch.chdir(models / "deep")
    for folder in (Path(), Path(".."), tmp_path):
        with pytest.raises(InputError, match="lies in it"):
            check_target(folder, force=True)


def test_the_new_folder_takes_the_place_of_the_old(tmp_path: Path) -> None:
    target = run_folder(tmp_path / "out")
    (target / "old.txt").touch()
    with replaced_atomically(target) as fresh:
        assert fresh.parent == tmp_path, "on the same file system"
        (fresh / "new.txt").touch()
        assert content(target) == ["deployment.toml", "old.txt", "record.json"]
    assert content(target) == ["new.txt"]
    assert content(tmp_path) == ["out"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_folders_above_are_made(tmp_path: Path) -> None:
    with replaced_atomically(tmp_path / "a" / "b") as fresh:
        (fresh / "x").touch()
    assert content(tmp_path / "a" / "b") == ["x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_everything_as_it_was(error: type[BaseException], existed: bool, tmp_path: Path) -> None:
    target = tmp_path / "out"
    if existed:
        run_folder(target)
    with pytest.raises(error), replaced_atomically(target) as fresh:
        (fresh / "half.txt").touch()
        raise error
    assert content(tmp_path) == (["out"] if existed else [])
    if existed:
        assert content(target) == ["deployment.toml", "record.json"]
