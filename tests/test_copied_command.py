"""`textgen copied`, `sample --max-copy`, `--mark-copied`, and the index that `train --copy-index` makes."""

import json
import re

import pytest
from conftest import make_stored_model, trace_plainly, write_stored_model
from plans import TEXT, plan_of, resume, run_plan
from watching import Watcher, ask_to_stop

from textgen.cli import main
from textgen.corpus.advising import without_flags
from textgen.dataset.split import Split
from textgen.generation.max_copy import open_index
from textgen.store import model_directory
from textgen.store.verification import verify_model
from textgen.training.copy_index import whole_text

TALE = "the cat sat on the mat. a dog came in and the cat ran out of the house.\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`textgen ARGUMENTS` in this process, in a folder with the model `tiny` and two texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", "")
    write_stored_model(tmp_path / "saved_models", make_stored_model())
    (tmp_path / "tale.txt").write_text(TALE * 3)
    (tmp_path / "written.txt").write_text("x\nwho said that a dog came in and the cat sat on the mat. no\n")

    def run_main(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return (ended.value.code or 0, *capsys.readouterr())

    return run_main


def test_copied_runs_are_shown_with_their_places(run):
    status, shown, _ = run("copied", "tiny", "written.txt", "--corpus", "tale.txt", "--min-length", "10")
    assert status == 0
    assert "27 characters, in line 2 of the file and line 1 of the text:" in shown
    _, shown, _ = run("copied", "tiny", "written.txt", "--corpus", "tale.txt", "--min-length", "10", "--json")
    document = json.loads(shown)
    written, tale = "x\nwho said that a dog came in and the cat sat on the mat. no\n", TALE * 3
    for start, end, place in document["runs"]:
        assert written[start:end] == tale[place : place + end - start]
    assert document["copied"] == 43
    assert document["share"] == pytest.approx(43 / len(written))


@pytest.mark.parametrize(
    "arguments",
    [
        "copied tiny stray.txt --corpus tale.txt",
        "copied tiny written.txt --corpus stray.txt",
        "sample tiny --max-copy 9 --corpus stray.txt",
        "sample tiny -f stray.txt",
        "sample tiny --prompts stray.txt",
        "gates tiny --file stray.txt",
    ],
)
def test_advice_is_of_no_flag_that_the_command_lacks(run, arguments, tmp_path):
    (tmp_path / "stray.txt").write_bytes("café\n".encode() * 9 + b"\xe9\n")
    status, _, said = run(*arguments.split())
    assert status == 1
    assert said.startswith("textgen: stray.txt is UTF-8 with 1 stray byte: byte 0xE9 at offset 54 (line 10)")
    assert said.endswith(". Save it as UTF-8.\n")
    assert "--" not in said


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("a is empty. Give a file that holds text.", "a is empty. Give a file that holds text."),
        (
            "a was taken for x, as in “b. c”. --encoding-errors skip reads the rest.",
            "a was taken for x, as in “b. c”. Save it as UTF-8.",
        ),
        (
            "a is not clear. Give the right one: --encoding x reads “b. c”, --encoding y reads “d”.",
            "a is not clear. Save it as UTF-8.",
        ),
        (
            "a holds no subtitles. --file-format text reads it.",
            "a holds no subtitles. Save its text alone, as a .txt file.",
        ),
        (
            "a is a sheet. Save the sheet as CSV; --column NAME takes one column of it.",
            "a is a sheet. Save the sheet as CSV.",
        ),
        (
            "a is no table. Leave out --column, or say --file-format csv.",
            "a is no table. Give a table, as the corpus of the model was.",
        ),
        (
            "a holds tables; left out: b.csv; --column NAME reads tables. Name the files.",
            "a holds tables; left out: b.csv. Name the files.",
        ),
        ("a, line 3: it is bad. --bad-rows skip leaves such rows out.", "a, line 3: it is bad. Mend that row."),
    ],
)
def test_advice_of_flags_becomes_advice_for_any_command(message, expected):
    assert without_flags(message) == expected


def test_a_note_on_a_text_to_look_in_names_no_flag(run, tmp_path):
    (tmp_path / "page.txt").write_text(f"<html><p>{TALE}</p></html>\n")
    status, _, said = run("copied", "tiny", "written.txt", "--corpus", "page.txt")
    assert (status, said) == (0, "textgen: page.txt looks like HTML, and it is read as plain text\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("copied tiny written.txt", 1, "tiny has no index of its training text. Train with --copy-index"),
        ("copied tiny none.txt --corpus tale.txt", 1, "none.txt cannot be read"),
        ("copied tiny written.txt --corpus none.txt", 1, "none.txt does not exist"),
        ("copied tiny - --corpus -", 2, "cannot both be standard input"),
        ("sample tiny --max-copy 9", 1, "or name the text: --corpus FILE"),
        ("sample tiny --mark-copied", 1, "or name the text: --corpus FILE"),
        ("sample tiny --corpus tale.txt", 2, "--corpus is of use with --max-copy or --mark-copied only"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, arguments, code, said):
    status, shown, errors = run(*arguments.split())
    assert (status, shown, len(errors.splitlines())) == (code, "", 1)
    assert said in errors


def test_sample_copies_no_more_than_it_may_and_marks_what_it_copied(run):
    arguments = ["sample", "tiny", "-n", "200", "--corpus", "tale.txt", "--max-copy", "2", "--num-samples", "3"]
    arguments += ["--json", "--mark-copied", "-p"]
    status, shown, _ = run(*arguments, "the cat")
    assert status == 0
    for document in json.loads(shown):
        text = document["prompt"] + document["completion"]
        assert not any(text[end - 3 : end] in TALE * 3 for end in range(8, len(text) + 1))
        assert document["copied"] == []


def test_marks_are_bold_on_a_terminal_that_wants_it(run, monkeypatch):
    (arguments, marks) = ["sample", "tiny", "-n", "30", "--mark-copied", "--corpus", "tale.txt"], "[\u27e6\u27e7]"
    monkeypatch.setattr("textgen.generation.copied_runs.CopyFinder.__init__.__defaults__", (1,), raising=True)
    _, shown, _ = run(*arguments)
    assert re.search(marks, shown)
    monkeypatch.setattr("textgen.cli.sample.shows_styles", lambda: True)
    _, bold, _ = run(*arguments)
    assert "\x1b[1;33m" in bold
    assert re.sub(marks, "", shown) == re.sub("\x1b\\[[0-9;]*m", "", bold)


# ---- the index that a run makes


@pytest.mark.parametrize("how", [{}, {"level": "word"}, {"documents": "line"}])
def test_the_whole_text_is_spelled_in_its_order(tmp_path, how):
    (tmp_path / "novel.txt").write_text(TEXT)
    prepared = plan_of(tmp_path / "novel.txt", tmp_path / "models", **how).prepared
    documents = "".join(line + "\udc00" for line in TEXT.splitlines())
    assert "".join(whole_text(prepared, Split(0.1, 1))) == (documents if "documents" in how else TEXT)


def test_a_run_that_was_stopped_makes_its_index_and_info_says_so(tmp_path, corpus, monkeypatch, capsys):
    trace_plainly(monkeypatch)
    plan = plan_of(corpus, tmp_path, copy_index=True)
    assert any("can read the text in it" in note for note in plan.notes)
    assert run_plan(plan, Watcher({7: ask_to_stop})).stopped_by is not None
    result, watcher = resume(tmp_path)
    assert any("which hold the whole text" in note for note in watcher.notes)
    model = model_directory.load_model("novel", tmp_path)
    assert open_index(model).text.decode() == TEXT
    assert (result.path / model_directory.COPY_INDEX).stat().st_size <= 5 * len(TEXT) + 24
    assert verify_model("novel", tmp_path).num_problems == 0
    with pytest.raises(SystemExit):
        main(["info", "novel", "--models-dir", str(tmp_path)])
    assert "can read its whole text in copy_index.bin" in capsys.readouterr().out
