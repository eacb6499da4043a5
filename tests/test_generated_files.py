"""Models and command lines as Hypothesis thinks them up: a model, or one line; status 0, 1 or 2, and no traceback."""

import json
import struct
import tempfile
from pathlib import Path

import pytest
from damaging import reseal, write_full_model
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.cli import main
from textgen.errors import TextgenError
from textgen.store import model_directory
from textgen.store.manifest import MANIFEST
from textgen.store.model_directory import CONFIG, TOKENIZER, WEIGHTS

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
COMMANDS = ("sample", "info", "verify", "evaluate", "score", "gates", "export", "repl", "inspect", "lesson")
FLAGS = ("-n", "-t", "--seed", "--models-dir", "--engine", "--json", "--top-k", "--stop", "--dynamic", "--no", "-h")
FLAGS += ("--text", "--html", "--color")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory) -> Path:
    return write_full_model(tmp_path_factory.mktemp("models"))


def read_or_refuse(original: Path, name: str, content: bytes) -> None:
    """Load the model with `content` in one of its files, and a manifest that agrees, unless it is the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, original.name)
        path.mkdir()
        for file in original.iterdir():
            (path / file.name).write_bytes(file.read_bytes())
        (path / name).write_bytes(content)
        if name != MANIFEST:
            reseal(path)
        said = ""
        try:
            model_directory.load_model(path.name, path.parent)
        except TextgenError as problem:
            said = str(problem)
        assert "\n" not in said


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from((CONFIG, TOKENIZER, MANIFEST)), value=VALUES)
def test_any_document_is_read_or_refused(model_dir, name, value):
    read_or_refuse(model_dir, name, json.dumps(value).encode())


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from((CONFIG, TOKENIZER, MANIFEST)), value=VALUES, data=st.data())
def test_any_value_in_a_document_is_read_or_refused(model_dir, name, value, data):
    document = json.loads((model_dir / name).read_bytes())
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = value
    read_or_refuse(model_dir, name, json.dumps(document).encode())


@settings(max_examples=100, deadline=None)
@given(value=VALUES, length=st.none() | st.integers(0, 2**64 - 1), data=st.data())
def test_any_header_of_the_weights_is_read_or_refused(model_dir, value, length, data):
    content = (model_dir / WEIGHTS).read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    name = data.draw(st.sampled_from(sorted(header)))
    header[name] = value if data.draw(st.booleans()) else header[name] | {"data_offsets": value}
    written = json.dumps(header).encode()
    read_or_refuse(
        model_dir, WEIGHTS, struct.pack("<Q", len(written) if length is None else length) + written + content[end:]
    )


@settings(max_examples=100, deadline=None)
@given(command=st.sampled_from(COMMANDS), rest=st.lists(st.sampled_from(FLAGS) | st.text(max_size=6), max_size=5))
def test_any_command_line_ends_with_0_1_or_2(model_dir, command, rest):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as end:
            main([command, "no-such-model", *rest])
    assert end.value.code in (None, 0, 1, 2)
