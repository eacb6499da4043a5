"""Models of documents: where their texts end, what they learned from, and the commands as a user runs them."""

import dataclasses
import gzip
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from commands import one_line, run
from conftest import ALPHABET, make_stored_model, training_config, write_stored_model
from fork_server import PLAINLY
from three_engines import CONFIGS, ThreeEngines
from whole_texts import surprisals

from textgen.config import END_OF_DOCUMENT, TextConfig
from textgen.corpus import open_corpus
from textgen.corpus.remembered import remember
from textgen.dataset import prepare
from textgen.dataset.split import Split
from textgen.errors import CorpusError
from textgen.evaluation import evaluate
from textgen.evaluation.reading import read_validation_part, text_of_ids
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import CorpusRecord
from textgen.store import model_directory
from textgen.tokenizers import CharacterTokenizer

# ---- one text from three engines

MODEL = make_stored_model(tokenizer=CharacterTokenizer(ALPHABET, "\n\n", "nfkc"), seed=4)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory) -> ThreeEngines:
    return ThreeEngines(MODEL, tmp_path_factory.mktemp("documents"))


def test_the_exported_model_writes_the_text_of_the_numpy_engine(everywhere):
    everywhere.assert_exported_texts_are_the_same()
    # All rows have the same random numbers, and <eod> is the last id: the highest number ends them all at once.
    answers = zip(CONFIGS, everywhere.answers, strict=True)
    ended = [len(answer["completion"][1]) < config.length for config, answer in answers]
    assert 0 < sum(ended) < len(CONFIGS)


@pytest.mark.slow  # by default test_word_models.py has a model of documents
def test_the_tensorflow_engine_writes_the_text_of_the_numpy_engine(everywhere):
    everywhere.assert_tensorflow_texts_are_the_same()


def test_the_export_passes_its_own_check(everywhere):
    everywhere.assert_passes_its_own_check()


def test_the_export_says_where_its_texts_end_and_what_it_needs(everywhere):
    assert everywhere.description["notes"][:3] == [
        "length counts characters.",
        "A text ends where its document does, or at its length; whichever comes first.",
        "Prompts are normalised by operations of tensorflow_text: import it before loading.",
    ]


# ---- the commands

FIRST = ("Bel", "Cor", "Dar", "Fen", "Gal", "Hol", "Kar", "Lor", "Mar", "Nor")
NAMES = [first + second for first in FIRST for second in ("a", "en", "is", "o", "wyn", "ia")]
FLAGS = ["--steps", "400", "--units", "24", "--embedding-size", "8", "--batch-size", "4", "--sequence-length", "12"]
FLAGS += ["--num-layers", "1", "--dropout", "0", "--val-fraction", "0.2"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """A working directory with a table of names, and a model of one column of it."""
    directory = tmp_path_factory.mktemp("workshop")
    rows = [f'{number},"{name}",x' for number, name in enumerate(NAMES)]
    (directory / "names.csv").write_text("\n".join(["id,name,more", *rows]) + "\n")
    done = run("train", "names.csv", "--column", "name", *FLAGS, "--json", cwd=directory, **{PLAINLY: "1"})
    assert done.returncode == 0, done.stderr.decode()
    (directory / "train.json").write_bytes(done.stdout)
    (directory / "train.log").write_bytes(done.stderr)
    return directory


def sample_json(workshop: Path, *flags: str):
    done = run("sample", "names", *flags, "--json", cwd=workshop)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_summary_says_how_many_of_its_documents_are_new(workshop):
    result = json.loads((workshop / "train.json").read_text())
    new, known, unseen = (result[f"samples_{origin}"] for origin in ("new", "in_training", "in_validation"))
    assert known > 0
    assert 50 < new + known + unseen <= 100
    log = (workshop / "train.log").read_text()
    assert f"of {new + known + unseen} documents that it wrote {new} are new, {known} learned by heart" in log
    assert "60 documents, 12 of them to validate on" in log
    record = model_directory.load_model("names", workshop / "saved_models").record
    assert (record.text.column, record.corpus.documents) == ("name", len(NAMES))


def test_a_text_ends_with_its_document(workshop):
    documents = sample_json(workshop, "--num-samples", "30", "-t", "0.5")
    assert {d["finish_reason"] for d in documents} == {"document"}
    texts = [d["completion"] for d in documents]
    assert all(0 < len(text) < 12 and "\n" not in text for text in texts)
    assert len(set(texts) & set(NAMES)) > 5
    plain = run("sample", "names", "--num-samples", "30", "-t", "0.5", "--sample-delimiter", "|", cwd=workshop)
    assert plain.stdout.decode() == "|".join(texts) + "\n"


def test_one_sample_streams_to_the_end_of_its_document(workshop):
    document = sample_json(workshop, "-p", "Bel", "--seed", "5")
    assert document["finish_reason"] == "document"
    plain = run("sample", "names", "-p", "Bel", "--seed", "5", cwd=workshop).stdout.decode()
    assert plain == "Bel" + document["completion"] + "\n"


def test_a_short_length_cuts_a_document(workshop):
    document = sample_json(workshop, "-n", "2")
    assert (document["finish_reason"], len(document["completion"])) == ("length", 2)


def test_a_stop_string_ends_a_document_early(workshop):
    name = sample_json(workshop, "-t", "0")["completion"]
    stopped = sample_json(workshop, "-t", "0", "--stop", name[2:4])
    assert (stopped["finish_reason"], stopped["completion"]) == ("stop", name[:2])


def test_ends_of_documents_can_be_ignored_and_separate_them_then(workshop):
    document = sample_json(workshop, "-n", "200", "--ignore-eod")
    assert (document["finish_reason"], len(document["completion"])) == ("length", 200)
    assert document["settings"]["ignore_eod"] is True
    names = document["completion"].split("\n")
    assert len(names) > 10
    assert set(names) & set(NAMES)
    plain = run("sample", "names", "-n", "200", "--ignore-eod", cwd=workshop).stdout.decode()
    assert plain == document["completion"] + "\n"


def test_a_conversation_through_a_pipe_ends_its_turns_with_the_documents(workshop):
    done = run("repl", "names", "--seed", "5", stdin="Bel\n/exit\n", cwd=workshop)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == sample_json(workshop, "-p", "Bel", "--seed", "5")["completion"]


# ---- evaluating


def evaluated(workshop: Path, *arguments: str) -> dict:
    done = run("evaluate", "names", *arguments, "--json", cwd=workshop)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_evaluating_without_a_file_is_evaluating_the_documents_of_the_validation_part(workshop):
    model = model_directory.load_model("names", workshop / "saved_models")
    reader = open_corpus([workshop / "names.csv"], model.record.text)
    prepared = prepare(reader, Split(0.2))
    text = "".join(text_of_ids(prepared.validation_ids, model.tokenizer))
    assert text.count(END_OF_DOCUMENT) == 12
    engine = NumpyEngine(model.record.model, model.weights)
    expected, result = evaluate(text, model.tokenizer, engine), evaluated(workshop)
    assert {name: result[name] for name in expected._fields} == pytest.approx(expected._asdict())
    trained = json.loads((workshop / "train.json").read_text())["validation_loss"]
    assert trained == pytest.approx(surprisals(prepared.validation_ids, engine).mean(), abs=2e-3)


def test_a_file_is_read_as_the_corpus_was(workshop):
    (workshop / "others.csv").write_text('name\n"Belen"\nDarwyn\n')
    result = evaluated(workshop, "others.csv")
    assert result["characters"] == result["tokens"] == len("Belen|Darwyn|")
    assert result["words"] == 4  # two names, and two line ends
    assert result["bits_per_character"] < 4


def test_a_file_without_the_column_is_refused(workshop):
    (workshop / "wrong.csv").write_text("nmae\nBelen\n")
    done = run("evaluate", "names", "wrong.csv", cwd=workshop)
    assert done.returncode == 1
    assert "nmae" in one_line(done)


def test_a_corpus_that_changed_is_not_evaluated(workshop, tmp_path):
    shutil.copytree(workshop / "saved_models", tmp_path / "saved_models")
    content = (workshop / "names.csv").read_text()
    try:
        (workshop / "names.csv").write_text(content.replace("Bela", "Bel\u00e4"))
        done = run("evaluate", "names", cwd=tmp_path)
        assert done.returncode == 1
        assert "the corpus names is not the one this run began with" in one_line(done)
        (workshop / "names.csv").unlink()
        done = run("evaluate", "names", cwd=tmp_path)
        assert done.returncode == 1
        assert "names.csv" in one_line(done)
    finally:
        (workshop / "names.csv").write_text(content)


def test_a_model_without_a_validation_part_needs_a_file(tmp_path):
    text = "it was a dog.\nit was a cat.\n"
    (tmp_path / "tale.txt").write_text(text)
    model = make_stored_model(symbols="".join(sorted(set(text))))
    prepared = prepare(open_corpus([tmp_path / "tale.txt"], TextConfig(level="char")), Split(0))
    corpus = CorpusRecord("tale", (str(tmp_path / "tale.txt"),), prepared.sha256, prepared.characters)
    remember(corpus)
    record = dataclasses.replace(model.record, corpus=corpus, training=training_config(val_fraction=0.0))
    write_stored_model(tmp_path / "saved_models", model._replace(record=record))
    done = run("evaluate", "tiny", cwd=tmp_path)
    assert done.returncode == 1
    assert "tiny was trained without a validation part; name a FILE to evaluate on" in one_line(done)
    result = json.loads(run("evaluate", "tiny", "tale.txt", "--json", cwd=tmp_path).stdout)
    assert result["characters"] == len(text)


def test_a_model_of_standard_input_asks_for_the_same_text_where_somebody_types(monkeypatch):
    class Keyboard(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard())
    record = dataclasses.replace(MODEL.record, corpus=CorpusRecord("stdin", ("-",)))
    remember(record.corpus)
    said = r"tiny read standard input; pipe the same text in again\. Name a text: textgen evaluate tiny FILE"
    with pytest.raises(CorpusError, match=said):
        read_validation_part(MODEL._replace(record=record))


def test_a_model_of_standard_input_is_evaluated_on_the_same_text_again(tmp_path):
    """Its documents are paragraphs, piped in."""
    text = "".join(f"the cat sat.\non the mat {'again ' * n}\n\n" for n in range(30))
    config = TextConfig(level="char", documents="blank-line")
    prepared = prepare(open_corpus(["-"], config, stdin=io.BytesIO(text.encode())), Split(0.1))
    model = make_stored_model(tokenizer=prepared.tokenizer)
    corpus = CorpusRecord("stdin", ("-",), prepared.sha256, prepared.characters, prepared.num_documents)
    remember(corpus)
    record = dataclasses.replace(model.record, text=config, corpus=corpus)
    write_stored_model(tmp_path / "saved_models", model._replace(record=record))
    result = json.loads(run("evaluate", "tiny", "--json", cwd=tmp_path, stdin=text).stdout)
    assert result["characters"] == len(prepared.validation_ids)
    done = run("evaluate", "tiny", cwd=tmp_path, stdin=text.replace("cat", "dog", 1))
    assert done.returncode == 1
    assert "is not the one this run began with" in one_line(done)


# ---- wrong input

ROWS = "id,name\n" + "".join(f"{n},name {n}\n" for n in range(50))
WRONG = {
    "a column that does not exist": (["rows.csv", "--column", "nmae"], 1, ["rows.csv", "nmae", "name"]),
    "rows of unequal length": (["unequal.csv", "--column", "name"], 1, ["unequal.csv", "line 52"]),
    "a line that is no JSON": (["bad.jsonl", "--column", "name"], 1, ["bad.jsonl", "line 3"]),
    "a column of a text": (["long.txt", "--column", "name"], 1, ["long.txt", "--column"]),
    "a column and documents": (["rows.csv", "--column", "name", "--documents", "line"], 2, ["--column", "--documents"]),
    "documents that do not exist": (["long.txt", "--documents", "page"], 2, ["'page' is not one of"]),
    "a gz that is cut": (["cut.txt.gz"], 1, ["cut.txt.gz"]),
    "a gz that is none": (["none.txt.gz", "--documents", "line"], 1, ["none.txt.gz"]),
    "bytes that are not UTF-8, in the middle": (["large.txt"], 1, ["large.txt", "0xE9", "3,000,000", "line 60,001"]),
    "one repeated symbol": (["same.txt", "--documents", "line"], 1, ["two different characters"]),
    "one repeated symbol of words": (["same.txt", "--level", "word"], 1, ["two different characters"]),
    "documents without text": (["blank.txt", "--documents", "line"], 1, ["blank.txt"]),
}


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("wrong")
    (directory / "rows.csv").write_text(ROWS)
    (directory / "unequal.csv").write_text(ROWS + "50,name,50\n")
    (directory / "bad.jsonl").write_text('{"name": "Bel"}\n{"name": "Cor"}\n{"name": \n')
    (directory / "long.txt").write_text("the cat sat on the mat.\n" * 200)
    packed = gzip.compress(bytes(i * i % 251 for i in range(50_000)).replace(b"\xe9", b"e").decode("latin-1").encode())
    (directory / "cut.txt.gz").write_bytes(packed[: len(packed) // 2])
    (directory / "none.txt.gz").write_text("plain text\n" * 100)
    line = b"forty-nine bytes of text and a newline, fifty ...\n"
    assert len(line) == 50
    (directory / "large.txt").write_bytes(line * 60_000 + b"\xe9" + line * 60_000)
    (directory / "same.txt").write_text("a" * 20_000)
    (directory / "blank.txt").write_text("\n \n" * 5_000)
    return directory


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_leaves_nothing(case, wrong_files, tmp_path):
    (source, *flags), status, said = WRONG[case]
    command = ["train", wrong_files / source, "--init-from", "none", *flags, "--steps", "5"]
    done = run(*command, cwd=tmp_path, TEXTGEN_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == status, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    line = done.stderr.decode().splitlines()[-1] if done.stderr.startswith(b"Usage") else one_line(done)
    for part in said:
        assert part in line
    assert [p for p in tmp_path.rglob("*") if p.name not in ("cache", "prepared")] == []
