"""What a model names is opened where this user has trained from it, and nowhere else."""

import dataclasses
import hashlib
import os
import stat
from pathlib import Path

import pytest
from conftest import ALPHABET, make_stored_model, write_stored_model
from plans import plan_of, resumed_plan

from textgen.cli import main
from textgen.config import TextConfig
from textgen.corpus import open_corpus, remembered, sources
from textgen.corpus.catalogue import starter_path
from textgen.corpus.remembered import remember
from textgen.dataset import prepare
from textgen.dataset.split import Split
from textgen.errors import CorpusError
from textgen.evaluation import Evaluation
from textgen.records import CorpusRecord, Progress
from textgen.store.checkpoints import Checkpoint, save_checkpoint
from textgen.training.plan import make_plan
from textgen.training.request import Request

TEXT = f"{ALPHABET} the cat sat on the mat.\n" * 20


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a text and an empty state directory; the network is not asked, which would take long."""
    monkeypatch.setenv("TEXTGEN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("textgen.evaluation.evaluate_tokens", lambda *_, **__: Evaluation(9, 9, 9, 1.0, 1.0, 1.0, None))
    monkeypatch.chdir(tmp_path)
    Path("novel.txt").write_text(TEXT)
    return tmp_path


def corpus_of(*named: str, sha256: str = "0" * 64) -> CorpusRecord:
    return CorpusRecord("novel", named, sha256)


def novel() -> CorpusRecord:
    """What a run on novel.txt would write into its model."""
    prepared = prepare(open_corpus(["novel.txt"], TextConfig(level="char")), Split(0.1))
    return corpus_of(os.path.abspath("novel.txt"), sha256=prepared.sha256)


def evaluate(capsys, corpus: CorpusRecord, name: str = "tiny") -> tuple[int, str]:
    """The status of `textgen evaluate` on a model of `corpus`, and what it says on standard error."""
    if not Path("saved_models", name).exists():
        model = make_stored_model()
        record = dataclasses.replace(model.record, corpus=corpus, text=TextConfig(level="char"))
        write_stored_model(Path("saved_models"), model._replace(record=record), name)
    with pytest.raises(SystemExit) as exited:
        main(["evaluate", name])
    return exited.value.code or 0, capsys.readouterr().err


STRANGE = {
    "passwords": (["/etc/passwd"], "/etc/passwd"),
    "an environment": (["/proc/self/environ"], "/proc/self/environ"),
    "zeros without end": (["/dev/zero"], "/dev/zero"),
    "a pipe": (["pipe.txt"], "pipe.txt"),
    "standard input": (["-"], "-"),
    "a text of the catalogue and another": (["chronicles", "/etc/passwd"], "chronicles, /etc/passwd"),
    "what writes to a terminal": (["/\x1b[2J\n\u202e"], r"'/\x1b[2J\n\u202e'"),
    "very many": (["/etc/passwd"] * 200_000, "/etc/passwd, " * 7 + "/etc/pas…"),
    "none": ([], "without a name"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_only_a_model_names_is_shown_and_never_opened(case, capsys, monkeypatch):
    os.mkfifo("pipe.txt")
    monkeypatch.setattr(sources, "open_regular", lambda path: pytest.fail(f"{path} is opened"))
    monkeypatch.setattr("sys.stdin", None)
    named, shown = STRANGE[case]
    assert evaluate(capsys, corpus_of(*named)) == (
        1,
        f"textgen: tiny names the corpus {shown}, which is not opened: you have not trained from it here. "
        "Name a text: textgen evaluate tiny FILE\n",
    )


def test_what_was_trained_from_is_opened_again_also_when_the_model_was_moved(capsys):
    corpus = novel()
    assert "not trained from it" in evaluate(capsys, corpus)[1]
    remember(corpus)
    assert evaluate(capsys, corpus) == (0, "")
    Path("saved_models/tiny").rename("saved_models/other")
    assert evaluate(capsys, corpus, "other") == (0, "")


@pytest.mark.parametrize(
    "other", [{"sha256": "1" * 64}, {"sources": ("/etc/passwd",)}], ids=["another text", "other sources"]
)
def test_a_model_does_not_borrow_what_was_remembered_of_another(other, capsys):
    remember(novel())
    assert "not trained from it" in evaluate(capsys, novel().replace(**other))[1]


def test_a_text_of_the_catalogue_is_opened_whatever_lies_in_the_working_directory(capsys):
    Path("chronicles").write_text("no tale")
    starter = hashlib.sha256(starter_path().read_bytes()).hexdigest()
    said = evaluate(capsys, corpus_of("chronicles"))[1]
    assert f"the corpus chronicles is not the one this run began with (SHA-256 {starter[:12]}" in said


@pytest.mark.parametrize("case", ["in the way", "within the way", "missing"])
def test_where_nothing_can_be_remembered_nothing_is_said(case, capsys, folder, monkeypatch):
    if case == "in the way":
        Path("state").write_text("")
    elif case == "within the way":
        for name in ("", "x"):
            Path(remembered._path_of(novel()), name).mkdir(parents=True)
    else:
        monkeypatch.setenv("TEXTGEN_STATE_DIR", "/proc/none")
    remember(novel())
    assert "not trained from it" in evaluate(capsys, novel())[1]


def test_the_newest_are_remembered_for_the_owner_alone(folder, monkeypatch):
    monkeypatch.setattr(remembered, "NUM_KEPT", 3)
    for number in range(5):
        remember(corpus_of(str(number)))
        os.utime(remembered._path_of(corpus_of(str(number))), (number, number))
    directory = folder / "state" / remembered.DIRECTORY
    (directory / "a letter").touch(0o600)  # of somebody else's, and older than all
    os.utime(directory / "a letter", (0, 0))
    remember(corpus_of("0"))
    kept = {remembered._path_of(corpus_of(number)) for number in "340"}
    assert set(directory.iterdir()) == {*kept, directory / "a letter"}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in directory.iterdir()} == {0o600}


def test_a_run_is_resumed_from_what_was_remembered_or_named_on_the_command_line():
    models_dir = Path("saved_models")
    plan = plan_of("novel.txt", models_dir)
    model = make_stored_model(tokenizer=plan.tokenizer)
    record = dataclasses.replace(model.record, text=plan.text, training=plan.training, corpus=plan.corpus)
    progress = Progress(step=3, total_steps=7)
    save_checkpoint(plan.path, Checkpoint(record, plan.tokenizer, progress, (), model.weights, {}))
    with pytest.raises(CorpusError) as caught:
        resumed_plan(models_dir)
    assert str(caught.value) == (
        f"novel names the corpus {os.path.abspath('novel.txt')}, which is not opened: you have not trained from it "
        "here. Name the text: textgen train FILE --resume --name novel"
    )
    assert resumed_plan(models_dir, sources=("novel.txt",)).corpus == plan.corpus
    Path("other.txt").write_text("another text\n" * 20)
    with pytest.raises(CorpusError, match="is not the one this run began with"):
        resumed_plan(models_dir, sources=("other.txt",))
    remember(plan.corpus)
    assert resumed_plan(models_dir).corpus == plan.corpus


def test_a_resumed_run_and_an_evaluation_find_the_files_of_a_folder_that_were_chosen(capsys):
    for name, text in {"a.md": TEXT, "b.py": "x = 1\n" * 99, "c/d.MD": "no", "c/draft.md": "no"}.items():
        Path("notes", name).parent.mkdir(parents=True, exist_ok=True)
        Path("notes", name).write_text(text)
    models_dir = Path("saved_models")
    plan = plan_of("notes", models_dir, include=["*.md"], exclude="draft*")
    assert plan.notes == ("left out of notes: 1 name by --exclude, 2 files that --include does not name",)
    assert (plan.text.include, plan.text.exclude) == (("*.md",), ("draft*",))
    model = make_stored_model(tokenizer=plan.tokenizer)
    record = dataclasses.replace(model.record, text=plan.text, training=plan.training, corpus=plan.corpus)
    save_checkpoint(plan.path, Checkpoint(record, plan.tokenizer, Progress(total_steps=7), (), model.weights, {}))
    remember(plan.corpus)
    for named in ((), ("notes",)):
        again = make_plan(Request(models_dir, named, name=None if named else "notes", resume=True))
        assert again.corpus == plan.corpus
        assert again.notes[0].endswith("notes: 1 name by --exclude, 2 files that --include does not name")
    write_stored_model(models_dir, model._replace(record=record), "finished")
    for arguments in (["finished"], ["finished", "notes"]):
        with pytest.raises(SystemExit) as exited:
            main(["evaluate", *arguments])
        told = "textgen: left out of notes: 1 name by --exclude, 2 files that --include does not name\n"
        assert (exited.value.code or 0, capsys.readouterr().err) == (0, told if len(arguments) > 1 else "")
