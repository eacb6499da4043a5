"""JSON and plain files as a stranger may have written them."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from damaging import message_of, reseal, write_full_model
from hypothesis import given
from hypothesis import strategies as st

from textgen.errors import ModelError
from textgen.store import atomic, manifest
from textgen.store.manifest import MANIFEST, MAX_MANIFEST_BYTES
from textgen.store.model_directory import BYTES_PER_ID, MAX_CONFIG_BYTES, MODEL_FILES
from textgen.store.strict_json import FEW_VALUES_BYTES, parse_json, read_json

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@pytest.fixture
def model_dir(tmp_path) -> Path:
    return write_full_model(tmp_path / "models")


@given(values)
def test_what_we_write_is_read_as_it_was(value):
    assert parse_json(atomic.to_json_bytes(value)) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[" * 100_000, "recursion"),
        (b'{"a":' * 100_000, "recursion"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("{}".encode("utf-16"), "utf-8"),
        ("{}".encode("utf-32-le"), "Expecting property name"),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a": 1, "b": 2, "a": 1}', "the key 'a' stands in it twice"),
        (b'{"a": 1, "\\u0061": 1}', "the key 'a' stands in it twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' stands in it twice"),
        (b"NaN", "NaN is no finite number"),
        (b"[-Infinity]", "-Infinity is no finite number"),
        (b"1e999", "1e999 is no finite number"),
        (b"1" * 21, "a number has more than 20 digits"),
        (b"-" + b"1" * 5000, "a number has more than 20 digits"),
        (b"1" * 5000 + b".5", "is no finite number"),
        (b'"\\ud800"', "surrogates"),
        (b'{"\\uDC00": 1}', "surrogates"),
        (b"{} {}", "Extra data"),
        (b"{'a': 1}", "Expecting property name"),
        (b'{"a": 1,}', "Expecting property name|Illegal trailing comma"),
        (b'"a\nb"', "control character"),
    ],
)
def test_json_of_any_other_kind_is_refused(content, message):
    with pytest.raises((ValueError, RecursionError), match=message) as caught:
        parse_json(content)
    assert len(str(caught.value)) < 300


def test_a_pair_of_surrogates_is_a_character():
    assert parse_json(b'"\\ud83d\\ude42 \\\\ud800"') == "🙂 \\ud800"


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'"ab",', b"1,", b"[["])
def test_a_file_of_too_many_values_is_refused_before_they_are_made(piece):
    content = b"[" + piece * (2**20) + b"0]"
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"it holds more than 1,000 values"):
        parse_json(content, 1000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 * len(content)


def test_separators_in_strings_are_no_values():
    text = ',[{"\\' * FEW_VALUES_BYTES
    assert parse_json(json.dumps([text, text]).encode(), 3) == [text, text]


@pytest.mark.parametrize("content", ["", "[]", "null", '"text"', "{", "[" * 100_000, "\ufeff{}", '{"format": NaN}'])
@pytest.mark.parametrize("name", [MANIFEST, "config.json", "tokenizer.json"])
def test_a_file_that_is_no_json_object_of_ours_is_refused_and_named(model_dir, name, content):
    (model_dir / name).write_text(content)
    if name != MANIFEST:
        reseal(model_dir)
    assert message_of(model_dir).startswith(str(model_dir / name))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        (MANIFEST, MAX_MANIFEST_BYTES),
        ("config.json", MAX_CONFIG_BYTES),
        ("tokenizer.json", 2**16 + 30 * BYTES_PER_ID),  # the model has 30 ids
    ],
)
def test_json_beyond_its_size_is_refused(model_dir, name, most):
    os.truncate(model_dir / name, most + 1)  # a sparse file: it takes no room
    if name != MANIFEST:
        reseal(model_dir)
    assert message_of(model_dir) == f"{model_dir / name} is too large to be part of a model: more than {most:,} bytes"


def test_a_config_of_a_size_that_its_weights_do_not_have_is_refused_before_anything_is_made(model_dir):
    config = json.loads((model_dir / "config.json").read_text())
    config["model"].update(units=65_536, embedding_size=65_536, num_layers=16, vocabulary_size=4_194_304)
    (model_dir / "config.json").write_text(json.dumps(config))
    (model_dir / "tokenizer.json").write_bytes(b'{"format": 3, "symbols": [' + b"[]," * 10**6 + b"0]}")
    reseal(model_dir)
    tracemalloc.start()
    message = message_of(model_dir)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "weights.safetensors is not of the shape that the config states" in message
    assert most < 2**22


@pytest.mark.parametrize("vocabulary_size", [2**31, 2**63, 4_194_305])
def test_a_vocabulary_of_billions_is_refused(model_dir, vocabulary_size):
    config = json.loads((model_dir / "config.json").read_text())
    config["model"]["vocabulary_size"] = vocabulary_size
    (model_dir / "config.json").write_text(json.dumps(config))
    reseal(model_dir)
    assert "`vocabulary_size` must be at most 4194304" in message_of(model_dir)


def test_only_plain_files_are_opened(tmp_path):
    (tmp_path / "file").write_text('{"format": 3}')
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert read_json(tmp_path / "file") == {}
    for path in (tmp_path / "link", tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ModelError, match=r"is a link|is not a plain file"):
            read_json(path)


def test_a_directory_that_cannot_be_listed_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone cannot be read: No such file"):
        manifest.unexpected_names(tmp_path / "gone", MODEL_FILES)
