"""The directory of an export: whole or not at all, and nothing of the user's is lost."""

import re

import pytest
from conftest import make_stored_model

from textgen.errors import ExportError
from textgen.export import check, export_model, saved_model, writing
from textgen.export.writing import Format

MODEL = make_stored_model()
LETTER = Format(
    "letter.txt",
    re.compile(r"letter\.txt"),
    lambda model, directory: (directory / "letter.txt").write_text(model.sha256),
    lambda *_: [],
)


@pytest.fixture
def quick(monkeypatch):
    """Export as a LETTER, whose texts nobody compares."""
    monkeypatch.setattr(writing, "check_texts", lambda *_: check.Checked(0, 0, 0))


def test_what_stands_there_is_kept_unless_told_otherwise(tmp_path, quick):
    export_model(MODEL, tmp_path / "tiny", kind=LETTER)
    with pytest.raises(ExportError, match=r"exists.*--overwrite"):
        export_model(MODEL, tmp_path / "tiny", kind=LETTER)
    assert (tmp_path / "tiny" / "letter.txt").read_text() == MODEL.sha256
    export_model(MODEL._replace(sha256="other"), tmp_path / "tiny", overwrite=True, kind=LETTER)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert (tmp_path / "tiny" / "letter.txt").read_text() == "other"


@pytest.mark.parametrize("kind", [LETTER, writing.SAVED_MODEL])
def test_only_an_export_of_the_kind_is_overwritten(tmp_path, quick, kind):
    (tmp_path / "novel").mkdir()
    (tmp_path / "novel" / "chapter.txt").write_text("irreplaceable")
    with pytest.raises(ExportError, match="not an exported model"):
        export_model(MODEL, tmp_path / "novel", overwrite=True, kind=kind)
    assert (tmp_path / "novel" / "chapter.txt").read_text() == "irreplaceable"


@pytest.mark.parametrize("kind", [LETTER, writing.SAVED_MODEL])
@pytest.mark.parametrize("foreign", ["chapter.txt", "variables/chapter.txt", "a/letter.txt"])
def test_an_export_that_holds_something_else_is_not_replaced(tmp_path, quick, kind, foreign):
    for path in (kind.marker, foreign):
        (tmp_path / "tiny" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tiny" / path).write_text("irreplaceable")
    with pytest.raises(ExportError, match=f"'{foreign}', which is no part"):
        export_model(MODEL, tmp_path / "tiny", overwrite=True, kind=kind)
    assert (tmp_path / "tiny" / foreign).read_text() == "irreplaceable"


@pytest.mark.parametrize("stage", ["check_operations", "describe"])
def test_a_saved_model_that_fails_leaves_nothing(tmp_path, monkeypatch, stage):
    def fail(*arguments, **options):
        raise ExportError("no")

    monkeypatch.setattr(saved_model, stage, fail)
    with pytest.raises(ExportError, match=r"^no$"):
        export_model(MODEL, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ExportError("no")])
def test_a_failed_overwrite_leaves_what_stood_there(tmp_path, monkeypatch, quick, interrupt):
    export_model(MODEL, tmp_path / "tiny", kind=LETTER)

    def fail(*arguments):
        raise interrupt

    monkeypatch.setattr(writing.atomic, "sync_directory", fail)  # after the old one has made room
    with pytest.raises((KeyboardInterrupt, ExportError)):
        export_model(MODEL._replace(sha256="other"), tmp_path / "tiny", overwrite=True, kind=LETTER)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "tiny",
        "tiny/letter.txt",
    ]
    assert (tmp_path / "tiny" / "letter.txt").read_text() == MODEL.sha256


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="there is no directory"):
        export_model(MODEL, tmp_path / "missing" / "tiny")

    def refuse(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(writing.atomic.tempfile, "mkdtemp", refuse)
    with pytest.raises(ExportError, match=r"cannot write .*tiny: Permission denied"):
        export_model(MODEL, tmp_path / "tiny")
