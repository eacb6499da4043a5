"""The exported directory: whole or not at all, and nothing of the user's is lost."""

import pytest
from conftest import make_stored_model

from textgen.errors import ExportError
from textgen.export import check, export_model, saved_model

MODEL = make_stored_model()


@pytest.fixture
def quick(monkeypatch):
    """Export without the fresh process."""
    monkeypatch.setattr(saved_model, "check_texts", lambda model, directory: check.Checked(0, 0, 0))


def test_what_stands_there_is_kept_unless_told_otherwise(tmp_path, quick):
    export_model(MODEL, tmp_path / "tiny")
    before = (tmp_path / "tiny" / "fingerprint.pb").read_bytes()
    with pytest.raises(ExportError, match=r"exists.*--overwrite"):
        export_model(MODEL, tmp_path / "tiny")
    assert (tmp_path / "tiny" / "fingerprint.pb").read_bytes() == before
    export_model(make_stored_model(seed=1), tmp_path / "tiny", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert (tmp_path / "tiny" / "fingerprint.pb").read_bytes() != before


def test_only_a_saved_model_is_overwritten(tmp_path, quick):
    (tmp_path / "novel").mkdir()
    (tmp_path / "novel" / "chapter.txt").write_text("irreplaceable")
    with pytest.raises(ExportError, match="not an exported model"):
        export_model(MODEL, tmp_path / "novel", overwrite=True)
    assert (tmp_path / "novel" / "chapter.txt").read_text() == "irreplaceable"


@pytest.mark.parametrize("stage", ["check_operations", "check_texts", "describe"])
def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch, stage):
    def fail(*arguments, **options):
        raise ExportError("no")

    monkeypatch.setattr(saved_model, stage, fail)
    with pytest.raises(ExportError, match=r"^no$"):
        export_model(MODEL, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ExportError("no")])
def test_a_failed_overwrite_leaves_what_stood_there(tmp_path, monkeypatch, quick, interrupt):
    export_model(MODEL, tmp_path / "tiny")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))

    def fail(*arguments):
        raise interrupt

    monkeypatch.setattr(saved_model.atomic_files, "sync_directory", fail)  # after the old one has made room
    with pytest.raises((KeyboardInterrupt, ExportError)):
        export_model(MODEL, tmp_path / "tiny", overwrite=True)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="there is no directory"):
        export_model(MODEL, tmp_path / "missing" / "tiny")

    def refuse(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(saved_model.atomic_files.tempfile, "mkdtemp", refuse)
    with pytest.raises(ExportError, match=r"cannot write .*tiny: Permission denied"):
        export_model(MODEL, tmp_path / "tiny")
