"""A directory for its owner alone, which closes nothing that is not textgen's."""

import os

import pytest

from textgen.store.private import private_directory


def mode(path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("held", [(), ("0" * 32, "." + "0" * 32 + ".abcdefgh.tmp"), ("trained_from", "repl_history")])
def test_a_directory_that_holds_only_what_is_textgens_is_closed_to_others(tmp_path, held):
    for name in held:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    with private_directory(tmp_path):
        (tmp_path / "a").touch()
    assert (mode(tmp_path), mode(tmp_path / "a")) == (0o700, 0o600)


def test_a_directory_that_holds_something_else_keeps_its_mode_and_what_is_written_is_closed(tmp_path):
    (tmp_path / "a letter").touch()
    tmp_path.chmod(0o755)
    with private_directory(tmp_path):
        (tmp_path / "a").mkdir()
    assert (mode(tmp_path), mode(tmp_path / "a")) == (0o755, 0o700)


def test_a_missing_directory_is_made_for_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        with private_directory(tmp_path / "a" / "b"):
            assert mode(tmp_path / "a" / "b") == 0o700
        assert os.umask(0) == 0
    finally:
        os.umask(before)
