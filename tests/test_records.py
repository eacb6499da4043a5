"""What a model says about itself, to JSON and back."""

import json
from importlib import metadata

import pytest
from conftest import model_config, training_config
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import TextConfig
from textgen.errors import SettingError
from textgen.records import CorpusRecord, ModelRecord, NoticeRecord, ParentRecord, ResultRecord, installed_versions

RECORD = ModelRecord(
    model_config(vocabulary_size=65, units=256),
    TextConfig(level="word", documents="line"),
    training_config(epochs=1.5),
    CorpusRecord(name="novel", sources=("novel.txt", "-"), sha256="0" * 64, characters=7),
    ResultRecord(steps=10, validation_loss=1.5),
    {"textgen": "0.1.0"},
)

NOTICE = {"licence": "CC0-1.0", "text": "It learned from novels.", "works": ["Emma, by Jane Austen"]}
PARENT = {"name": "old", "sha256": "0" * 64, "symbols_added": 2, "words_added": 0}

losses = st.none() | st.floats(allow_nan=False, allow_infinity=False)
records = st.builds(
    ModelRecord,
    st.builds(model_config, units=st.integers(1, 1000), tied=st.booleans()),
    st.builds(TextConfig, level=st.just("char"), column=st.none() | st.text(), encoding=st.text()),
    st.builds(training_config, seed=st.integers(0, 100)),
    st.builds(CorpusRecord, name=st.text(), sources=st.lists(st.text()).map(tuple), characters=st.integers(0)),
    st.builds(ResultRecord, train_loss=losses, validation_loss=losses, epochs=st.floats(0, 1e9)),
    st.dictionaries(st.text(), st.text()),
    st.none() | st.builds(ParentRecord, st.text(), st.just("0a" * 32), st.integers(0), st.integers(0)),
    st.none() | st.builds(NoticeRecord, st.text(), st.text(), st.lists(st.text()).map(tuple)),
)


def read_changed(**changes):
    return ModelRecord.from_json(RECORD.to_json() | changes)


@given(records)
def test_a_record_comes_back_from_json_as_it_was(record):
    assert ModelRecord.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


def test_json_has_a_part_for_each_question():
    document = RECORD.to_json()
    assert list(document) == ["model", "text", "training", "corpus", "results", "versions"]
    assert document["model"]["units"] == 256
    assert document["text"] == TextConfig(level="word", documents="line").to_json()
    assert document["training"]["epochs"] == 1.5
    assert document["corpus"]["sources"] == ["novel.txt", "-"]
    assert document["results"]["validation_loss"] == 1.5


def test_where_a_model_came_from_is_there_only_where_it_came_from_another():
    assert read_changed(parent=PARENT).parent == ParentRecord("old", "0" * 64, 2, 0)
    assert "parent" not in RECORD.to_json()
    assert read_changed(parent=PARENT).to_json()["parent"] == PARENT | {"read_before": None}
    assert read_changed(parent=PARENT | {"read_before": 0.5}).parent.read_before == 0.5


def test_whose_works_a_model_learned_from_is_there_only_where_it_is_stated():
    read = read_changed(notice=NOTICE)
    assert read.notice == NoticeRecord("CC0-1.0", "It learned from novels.", ("Emma, by Jane Austen",))
    assert "notice" not in RECORD.to_json()
    assert (read.to_json()["notice"], list(read.to_json())[-1]) == (NOTICE, "notice")


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 63 + "G", "0" * 64 + "\n", "A" * 64])
def test_a_parent_has_a_whole_sha256(sha256):
    with pytest.raises(SettingError, match="a parent's sha256 must be 64 hexadecimal digits"):
        read_changed(parent=PARENT | {"sha256": sha256})


def test_a_model_from_before_sketches_copies_and_found_encodings_is_read():
    document = RECORD.to_json()
    del document["corpus"]["sketch"], document["corpus"]["encodings"], document["text"]["encoding_errors"]
    for name in ("longest_copy", "longest_copy_text", "longest_copy_among"):
        del document["results"][name]
    read = ModelRecord.from_json(document)
    assert read == RECORD
    assert (read.corpus.sketch, read.results.longest_copy) == ("", None)
    document["text"]["encoding"] = "utf-8"  # what was the default then
    assert ModelRecord.from_json(document).text.encoding == "utf-8"


def test_a_part_too_many_or_too_few_is_refused():
    with pytest.raises(SettingError, match=r"a model's config expects .*'extra'"):
        read_changed(extra={})
    document = RECORD.to_json()
    del document["results"]
    with pytest.raises(SettingError, match="a model's config expects"):
        ModelRecord.from_json(document)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("model", {"extra": 1}, "ModelConfig expects exactly the keys"),
        ("model", {"units": 0}, "`units` must be at least 1"),
        ("text", {"extra": 1}, "TextConfig expects exactly the keys"),
        ("text", {"level": "syllable"}, "`level` must be one of char, word"),
        ("text", {"column": "name"}, "`column` makes every row a document"),
        ("training", {"minutes": 1.0}, "Give one budget"),
        ("corpus", {"characters": -1}, "`characters` must be at least 0"),
        ("corpus", {"documents": -1}, "`documents` must be at least 0"),
        ("corpus", {"encoding": "utf-8"}, "CorpusRecord expects exactly the keys"),
        ("parent", {"symbols_added": -1}, "`symbols_added` must be at least 0"),
        ("parent", {"extra": 1}, "ParentRecord expects exactly the keys"),
        ("notice", {"extra": 1}, "NoticeRecord expects exactly the keys"),
        ("notice", {"licence": None}, "`licence` must be text"),
        ("notice", {"works": "Emma"}, "`works` must be a list of strings"),
        ("notice", {"works": ["Emma", 1]}, "`works` must hold strings only"),
        ("results", {"samples_new": -1}, "`samples_new` must be at least 0"),
        ("corpus", {"sources": "novel.txt"}, "`sources` must be a list of strings"),
        ("results", {"validation_loss": float("nan")}, "`validation_loss` must be a finite number"),
        ("results", {"validation_loss": "low"}, "`validation_loss` must be a number"),
    ],
)
def test_a_wrong_value_in_a_part_is_refused(part, change, message):
    with pytest.raises(SettingError, match=message):
        read_changed(**{part: (RECORD.to_json() | {"parent": PARENT, "notice": NOTICE})[part] | change})


@pytest.mark.parametrize("part", ["model", "text", "training", "corpus", "results", "parent", "notice"])
@pytest.mark.parametrize("value", [None, [], "text"])
def test_a_part_that_is_not_an_object_is_refused(part, value):
    with pytest.raises(SettingError, match="expects exactly the keys"):
        read_changed(**{part: value})


@pytest.mark.parametrize("versions", [None, [], "1.0", {"textgen": 1}, {"textgen": None}])
def test_versions_are_names_and_strings(versions):
    with pytest.raises(SettingError, match="versions must be names and strings"):
        read_changed(versions=versions)


def test_versions_are_those_of_the_installed_packages():
    versions = installed_versions()
    assert set(versions) == {"python", "textgen", "tensorflow", "keras", "numpy"}
    assert versions["numpy"] == metadata.version("numpy")


def test_a_package_that_is_missing_has_no_version(monkeypatch):
    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    assert installed_versions()["tensorflow"] == "not installed"
