"""`textgen inspect`: facts that can be checked by hand, and the command that they lead to."""

import dataclasses
import json
import math
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_stored_model, make_word_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from textgen import inspection, pretrained
from textgen.cli.inspect import inspect
from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.corpus import CorpusFacts, open_corpus
from textgen.errors import CorpusError, ModelError, TextgenError, TokenizerError
from textgen.inspection import advise, inspect_corpus
from textgen.recipe import PRESETS, Asked, Facts, fill, tokens_per_second
from textgen.records import CorpusRecord
from textgen.sketch import sketch_of
from textgen.tokenizers import word_fitting
from textgen.training.request import Request, configs_of

RATE = 1e11  # operations per second of a small machine


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory, an empty cache, and a machine of known speed."""
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(inspection, "recurrent_rate", lambda: RATE)
    monkeypatch.setattr(pretrained, "load", make_stored_model)
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(4.0, 3.0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inspected(text: str | bytes, name: str = "tale.txt", **config):
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return inspect_corpus(open_corpus([name], TextConfig(**config)), arguments=name)


def run(*arguments: str):
    return CliRunner().invoke(inspect, arguments)


def facts(characters: int, words: int, symbols: int = 60) -> CorpusFacts:
    return CorpusFacts(characters, symbols, 1, words, 4.0, 3.0, (), (), 0, 0, 0)


def recommended(characters: int, words: int | None = None, covered: float = 0.95, symbols: int = 60):
    words = characters // 6 if words is None else words
    return advise(facts(characters, words, symbols), covered, "tale.txt", RATE)


def speed_of(preset: str, level: str) -> float:
    """Tokens per second of a model of that size."""
    return tokens_per_second(PRESETS[preset], Facts(level, 0, 60, RATE))


# ---- facts


def test_a_small_text_is_described_by_hand():
    found = inspected("a cat\na dog\na cat\n")
    assert (found.name, found.encoding, found.notes) == ("tale", "utf-8", ())
    assert (found.characters.characters, found.characters.symbols, found.characters.words) == (18, 8, 6)
    assert (found.characters.lines, found.characters.duplicate_lines) == (3, 1)
    assert found.documents is None
    assert found.different_words == 2  # " cat" and " dog"; "a" and "\n" are characters
    assert found.words_covered == pytest.approx(2 / 3)  # a word that occurs once is spelled


def test_documents_are_counted_as_such():
    found = inspected("Ann\nBo\nAnn\n\nCecilia", documents="line")
    parts = found.documents
    assert (parts.count, parts.duplicates, parts.longest, parts.longest_number) == (4, 1, 7, 4)
    assert found.notes == ("1 empty document skipped",)
    found = inspected("one\ntwo\n\n\nthree", documents="blank-line")
    assert (found.documents.count, found.documents.longest) == (2, 7)


def test_a_column_is_read_as_documents():
    found = inspected('id,name\n1,"Ann\nLee"\n2,Bo\n', name="names.csv", column="name")
    assert (found.documents.count, found.characters.symbols) == (2, len(set("Ann\nLeeBo")))


def test_the_normal_form_is_what_is_described():
    found = inspected("Stra\u00dfe STRASSE", normalize="casefold")
    assert found.characters.symbols == len(set("strasse "))
    assert found.characters.duplicate_lines == 0


def test_what_is_odd_about_the_bytes_is_a_note():
    found = inspected(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert found.notes == ("1 byte-order mark removed", "2 CRLF line ends turned into LF")


def test_words_that_a_vocabulary_has_no_room_for_are_not_covered(monkeypatch):
    monkeypatch.setattr(word_fitting, "DEFAULT_VOCABULARY_SIZE", 8)
    found = inspected("ab ab ab cd cd ef")  # seven characters take all ids but the one of " ab", met twice
    assert found.characters.symbols == 7
    assert (found.words_held, found.words_covered) == (1, pytest.approx(2 / 6))
    monkeypatch.setattr(word_fitting, "DEFAULT_VOCABULARY_SIZE", 99)
    found = inspected("ab ab ab cd cd ef")
    assert (found.words_held, found.words_covered) == (2, pytest.approx(4 / 6))


def test_words_are_counted_as_a_model_that_begins_with_another_knows_them(monkeypatch):
    """It keeps the words that it knows, also those that the text has once."""
    text = "a cat sat on the mat\n" + "a xylem sat on the xylem\n" * 60
    assert inspected(text).words_held == 4  # " sat", " on", " the", " xylem"; the others are spelled
    monkeypatch.setattr(pretrained, "load", lambda: make_stored_model(tokenizer=make_word_tokenizer()))
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(1.5, 3.0))
    assert inspected(text).words_covered == pytest.approx(1)


def test_a_text_that_begins_with_a_model_has_its_normal_form(monkeypatch):
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(1.5, 3.0))
    assert inspected("a cat sat on a mat\n" * 90).recommendation.begins_with == "tiny"
    assert inspected("a cat sat on a mat\n" * 90, normalize="nfc").recommendation.begins_with is None


# ---- the recommendation


def test_a_recommendation_worked_by_hand():
    """The minutes are those of twelve passes of a small model, which is what a text this short is worth."""
    advice = recommended(250_000, covered=0.5)
    minutes = math.ceil(250_000 * 12 / speed_of("small", "char") / 60)
    assert advice.minutes == minutes
    recipe = fill(Asked(ModelConfig(), TrainingConfig(minutes=minutes)), Facts("char", 250_000, 60, RATE))
    assert advice.preset == recipe.preset
    assert advice.epochs == pytest.approx(recipe.tokens / 250_000)
    assert advice.tokens_per_second == speed_of(recipe.preset, "char")
    assert advice.command == f"textgen train tale.txt --minutes {minutes}"


def test_a_recommendation_for_words_counts_what_stands_between_them_too():
    """Three tokens in ten are punctuation or line ends."""
    advice = recommended(5_000_000, 1_000_000)
    assert advice.minutes == min(60, math.ceil(1_300_000 * 8 / speed_of("medium", "word") / 60))


def test_a_text_that_the_pretrained_model_reads_well_begins_with_it(monkeypatch):
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(1.5, 3.0))
    monkeypatch.setattr(pretrained, "load", lambda: make_stored_model(tokenizer=make_word_tokenizer()))
    advice = inspected("a cat sat on a mat\n" * 90).recommendation
    assert (advice.begins_with, advice.bits_per_character, advice.level) == ("tiny", 1.5, "word")
    assert advice.command == f"textgen train tale.txt --minutes {advice.minutes}"
    shown = run("tale.txt").stdout
    assert "begins        with tiny, which reads this text at 1.50 bits per character; training gets below" in shown
    assert " model, about" not in shown
    assert "has read" not in shown


def test_what_the_pretrained_model_has_read_of_a_text_is_said(monkeypatch):
    text = "".join(f"word{n} " for n in range(30_000))
    model = make_stored_model()
    record = dataclasses.replace(model.record, corpus=CorpusRecord(name="tiny", sketch=sketch_of([text]).to_text()))
    monkeypatch.setattr(pretrained, "load", lambda: model._replace(record=record))
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(1.5, 3.0))
    assert inspected(text).recommendation.read_before == 1
    assert "(tiny has read about 100% of this text before)" in run("tale.txt").stdout


def test_without_the_pretrained_model_the_rest_is_said_and_that_it_is_missing(monkeypatch):
    def missing():
        raise ModelError("the pretrained model english is missing")

    monkeypatch.setattr(pretrained, "load", missing)
    found = inspected("a cat sat on a mat\n" * 90)
    assert found.notes == ("the pretrained model english is missing",)
    assert found.recommendation.begins_with is None
    assert found.recommendation.command.startswith("textgen train tale.txt --init-from none --minutes ")  # which runs


def test_a_list_of_names_is_for_characters():
    names = "\n".join(f"{a}{b}{c}" for a in "BDFGKLMN" for b in ("an", "er", "io", "us") for c in ("dor", "lin", "mas"))
    advice = inspected(names * 2 + "\n", documents="line").recommendation
    assert (advice.begins_with, advice.level) == (None, "char")


def test_a_list_that_the_pretrained_model_reads_well_begins_with_it(monkeypatch):
    """As `train` does: headlines are a list, and made of words."""
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(2.9, 3.8))
    monkeypatch.setattr(pretrained, "load", lambda: make_stored_model(tokenizer=make_word_tokenizer()))
    found = inspected("".join(f"A cat sat on {n} mats\n" for n in range(300)))
    advice = found.recommendation
    assert (found.is_list, advice.begins_with, advice.level) == (True, "tiny", "word")
    assert advice.command == f"textgen train tale.txt --documents line --minutes {advice.minutes}"
    assert "a model of words and documents writes new ones" in run("tale.txt").stdout


@pytest.mark.parametrize(
    ("characters", "words", "covered", "level"),
    [
        (200_000, 36_000, 0.85, "word"),
        (199_999, 36_000, 0.99, "char"),  # too short
        (200_000, 36_000, 0.84, "char"),  # too many words would be spelled
        (50_000_000, 10, 0.99, "char"),  # written without spaces
        (50_000_000, 0, 1.0, "char"),
    ],
)
def test_words_are_for_long_texts_whose_words_are_met_often(characters, words, covered, level):
    advice = recommended(characters, words, covered)
    assert advice.level == level
    assert ("--level word" in advice.command) == (level == "word")


@given(st.integers(1000, 10**11), st.floats(0, 1), st.integers(2, 10_000))
def test_the_command_is_one_that_train_understands(characters, covered, symbols):
    from textgen.cli.options import given as flags_given
    from textgen.cli.train import train

    advice = recommended(characters, covered=covered, symbols=symbols)
    assert 1 <= advice.minutes <= 60
    program, command, *arguments = advice.command.split()
    assert (program, command) == ("textgen", "train")
    flags = train.make_context("train", arguments).params
    assert flags.pop("corpus") == ("tale.txt",)
    for name in ("name", "preset", "init_from", "resume", "overwrite", "dry_run", "verbose", "tensorboard"):
        del flags[name]
    for name in ("models_dir", "as_json"):
        del flags[name]
    text, _, training = configs_of(Request(Path("models"), ("tale.txt",), settings=flags_given(flags)))
    assert (text.level, training.minutes) == (advice.level, advice.minutes)


def test_a_text_of_one_symbol_teaches_nothing():
    with pytest.raises(TokenizerError, match="at least two different characters to learn from; found only one"):
        recommended(100_000, symbols=1)


# ---- the command


def test_the_command_says_it_in_words():
    Path("tale.txt").write_text("a cat sat\n" * 150 + "a dog \u2603\n")
    result = run("tale.txt")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[:5] == [
        "corpus        tale, utf-8",
        "characters    1,508, of 10 different symbols",
        "words         453 between white space, 4 different pieces;",
        "              a word model holds 2, 99.3% of the text's words; those that occur once are spelled",
        "lines         151, 149 of them stand earlier too; the longest is line 1 with 9 characters",
    ]
    assert lines[5].startswith("floors        ")  # their values are those of test_describing.py
    assert lines[7].startswith("frequent      'a' 29.9%, ' ' 20.0%, 't' 19.9%, ")
    assert lines[8:] == [
        "rare          'd' U+0064 LATIN SMALL LETTER D: once at line 151, column 3",
        "              'g' U+0067 LATIN SMALL LETTER G: once at line 151, column 5",
        "              'o' U+006F LATIN SMALL LETTER O: once at line 151, column 4",
        "              '\u2603' U+2603 SNOWMAN: once at line 151, column 7",
        "try           textgen train tale.txt --minutes 1",
        "              The text is too small to learn from: it would be learned by heart.",
        "              It has 1,508 characters; some 20,000 are a beginning",
    ]
    Path("tale.txt").write_text("a cat sat\n" * 3000)
    last = run("tale.txt").stdout.splitlines()[-1].strip()
    start = "a tiny model, about 1 minute here: more than 100 passes, in which a text is learned by heart, at about "
    assert last.startswith(start.replace("tiny", last.split()[1]))


@pytest.mark.parametrize("speed", [1e6, 1e9, 1e13])
def test_whether_a_text_is_too_small_depends_on_the_text_alone(monkeypatch, speed):
    monkeypatch.setattr(inspection, "recurrent_rate", lambda: speed)
    Path("small.txt").write_text("a cat sat\n" * 1900)
    assert "too small to learn from" in run("small.txt").stdout
    Path("large.txt").write_text("a cat sat\n" * 2100)
    assert "too small" not in run("large.txt").stdout


def test_the_command_says_it_in_json():
    Path("names.txt").write_text("Ann\nBo\nAnn\n")
    result = run("names.txt", "--documents", "line", "--json")
    document = json.loads(result.stdout)
    assert document["documents"] == {"count": 3, "duplicates": 1, "longest": 3, "longest_number": 1}
    assert document["characters"]["characters"] == 11
    assert document["characters"]["rarest"][0] == {"symbol": "B", "count": 1, "line": 2, "column": 1}
    assert document["recommendation"] is None
    Path("names.txt").write_text("Ann\nBo\nAnn\n" * 100)
    advice = json.loads(run("names.txt", "--documents", "line", "--json").stdout)["recommendation"]
    assert advice["command"].startswith("textgen train names.txt --documents line --minutes ")
    assert json.loads(run("names.txt", "--json").stdout)["documents"] is None


def test_documents_and_rare_symbols_have_lines_of_their_own():
    Path("names.txt").write_text("Ann\nBo\nAnn\n")
    lines = run("names.txt", "--documents", "line").stdout.splitlines()
    assert "documents     3, 1 of them stand earlier too; the longest is number 1 with 3 characters" in lines
    assert any(line.startswith("rare          'B' U+0042 LATIN CAPITAL LETTER B: once at line 2") for line in lines)
    assert any(line.endswith("'A' U+0041 LATIN CAPITAL LETTER A: 2 times, first at line 1, column 1") for line in lines)


def test_what_was_typed_is_in_the_command_that_is_recommended():
    Path("my names.csv").write_text("name\n" + "Ann\nBo\n" * 200)
    lines = run("my names.csv", "--column", "name", "--normalize", "nfc").stdout.splitlines()
    (command,) = (line.removeprefix("try").strip() for line in lines if line.startswith("try"))
    assert command.startswith("textgen train 'my names.csv' --column name --normalize nfc --minutes ")


def test_a_name_like_a_flag_is_recommended_as_a_path():
    Path("-tale.txt").write_text("a cat sat\n" * 200)
    Path("--dry-run").mkdir()
    Path("--dry-run", "tale.txt").write_text("a dog sat\n" * 200)
    command = json.loads(run("--json", "--", "-tale.txt", "--dry-run").stdout)["recommendation"]["command"]
    assert command.startswith("textgen train ./-tale.txt ./--dry-run --minutes ")


def test_a_single_document_is_text_enough_and_of_several_one_may_be_too_much():
    """`train` learns from a single document; of several it draws whole ones to validate on."""
    Path("novel.txt").write_text("a cat sat\n" * 3000)
    assert (
        "\ntry           textgen train novel.txt --documents file --minutes 1\n"
        in run("novel.txt", "--documents", "file").stdout
    )
    Path("note.txt").write_text("a note\n")
    lines = run("note.txt", "novel.txt", "--documents", "file").stdout.splitlines()
    assert lines[-2] == "try           more documents: number 2 is nearly all of the text;"


def test_without_a_corpus_it_is_the_starter_corpus():
    result = run("--json")
    document = json.loads(result.stdout)
    assert document["name"] == "chronicles"
    assert document["recommendation"]["command"].startswith("textgen train --level word --minutes ")


def test_nothing_is_written(folder):
    Path("tale.txt").write_text("a cat sat\n" * 50)
    run("tale.txt")
    assert os.listdir(folder) == ["tale.txt"]


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["gone.txt"], CorpusError, "gone.txt"),
        (["empty.txt"], CorpusError, "empty.txt is empty"),
        (["blank.txt"], CorpusError, "nothing but white space"),
        (["same.txt"], TokenizerError, "at least two different characters"),
        (["latin.txt", "--encoding", "utf-8"], CorpusError, "byte 0xE9 at offset 3"),
        (["table.csv", "--column", "nmae"], CorpusError, "nmae"),
    ],
)
def test_wrong_input_is_one_line(arguments, kind, said):
    Path("empty.txt").write_text("")
    Path("blank.txt").write_text(" \n" * 9)
    Path("same.txt").write_text("a" * 99)
    Path("latin.txt").write_bytes(b"caf\xe9")
    Path("table.csv").write_text("name\nAnn\n")
    result = run(*arguments)
    assert isinstance(result.exception, kind)
    assert isinstance(result.exception, TextgenError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


def test_flags_of_training_are_no_flags_here():
    result = run("tale.txt", "--level", "word")
    assert result.exit_code == 2
    assert "No such option" in result.stderr
