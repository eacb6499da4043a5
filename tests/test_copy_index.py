"""The index of a text misses no run and makes none up, is small, and is refused where anybody has changed it."""

import random
import struct
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from damaging import message_of, reseal, write_full_model

from textgen.errors import CorpusError, ModelError
from textgen.generation.max_copy import open_index
from textgen.store import model_directory, suffixes
from textgen.store.copy_index import HEAD, CopyIndex, write_copy_index
from textgen.store.manifest import MANIFEST
from textgen.store.model_directory import COPY_INDEX, MODEL_FILES
from textgen.store.verification import verify_model

TEXT = "The cat sat on the m\u00e4t.\n" * 9
ALPHABETS = ["ab", "a", "abc \u00e9", "\0a", "ab\n\u65e5\U0001f600"]


def drawn_run(draw: random.Random, text: str) -> str:
    start = draw.randrange(len(text))
    run = text[start : start + draw.choice([1, 3, 8, 200])]
    return run if draw.random() < 0.5 else run[:-1] + draw.choice(text)


@pytest.mark.parametrize("seed", range(3))
def test_every_run_that_stands_in_a_text_is_found_and_no_other(tmp_path, seed):
    draw = random.Random(seed)
    for _ in range(12):
        text = "".join(draw.choices(draw.choice(ALPHABETS), k=draw.randint(1, 150))) * draw.choice([1, 1, 3])
        sizes = {"MOST": draw.choice([20, 1 << 22]), "AT_ONCE": draw.choice([50, 1 << 20])}
        with mock.patch.multiple(suffixes, **sizes):
            size = write_copy_index(tmp_path / "index", [text[i : i + 7] for i in range(0, len(text), 7)], "")
        assert size == (tmp_path / "index").stat().st_size <= 5 * len(text.encode()) + 24
        index = CopyIndex.read(tmp_path / "index")
        index.check()
        for _ in range(30):
            run = drawn_run(draw, text)
            place = index.find(run.encode())
            assert (-1 if place is None else index.characters_before(place)) == text.find(run)
            options = sorted({draw.choice(text) + draw.choice(text) for _ in range(6)})
            found = index.followed_by(run.encode(), [option.encode() for option in options]) or []
            assert found == [number for number, option in enumerate(options) if run + option in text]


def test_documents_stand_as_they_are_written(tmp_path):
    write_copy_index(tmp_path / "index", ["one\udc00t", "wo\udc00"], "\n")
    assert CopyIndex.read(tmp_path / "index").text == b"one\ntwo\n"


def test_an_empty_text_has_no_index(tmp_path):
    with pytest.raises(CorpusError):
        write_copy_index(tmp_path / "index", [""], "")
    assert list(tmp_path.iterdir()) == []


# ---- as a file of a model


@pytest.fixture
def model_dir(tmp_path) -> Path:
    """A finished model that has an index."""
    from damaging import change_json

    path = write_full_model(tmp_path / "models")
    change_json(path / "config.json", lambda config: config["training"].update(copy_index=True))
    write_copy_index(path / COPY_INDEX, [TEXT], "")
    reseal(path, (*MODEL_FILES, COPY_INDEX))
    return path


def load(path: Path):
    return model_directory.load_model(path.name, path.parent)


def problems(path: Path) -> dict[str, str]:
    return {f.name: f.problem for f in verify_model(path.name, path.parent).findings if f.problem}


def test_a_model_has_its_index(model_dir):
    assert open_index(load(model_dir)).text.decode() == TEXT
    names = [finding.name for finding in verify_model(model_dir.name, model_dir.parent).findings]
    assert (names, problems(model_dir)) == ([*MODEL_FILES, COPY_INDEX, MANIFEST], {})


def test_a_model_without_an_index_says_how_to_get_one(tmp_path):
    with pytest.raises(ModelError, match="Train with --copy-index, or name the text"):
        open_index(load(write_full_model(tmp_path)))


def test_an_index_whose_bytes_changed_is_noticed_when_it_is_read_and_by_verify(model_dir):
    content = bytearray((model_dir / COPY_INDEX).read_bytes())
    content[40] ^= 1
    (model_dir / COPY_INDEX).write_bytes(content)
    with pytest.raises(ModelError, match=r"copy_index\.bin is damaged: its SHA-256"):
        open_index(load(model_dir))
    assert list(problems(model_dir)) == [COPY_INDEX]


def test_an_index_that_is_cut_or_missing_is_noticed_at_once(model_dir):
    (model_dir / COPY_INDEX).write_bytes((model_dir / COPY_INDEX).read_bytes()[:-4])
    assert "copy_index.bin is damaged" in message_of(model_dir)
    (model_dir / COPY_INDEX).unlink()
    assert "copy_index.bin is missing" in message_of(model_dir)


def test_config_and_manifest_agree_on_the_index(model_dir):
    (model_dir / COPY_INDEX).unlink()
    reseal(model_dir)
    assert "disagree on whether there is a copy_index.bin" in message_of(model_dir)
    assert list(problems(model_dir)) == [MANIFEST]


def forged(size: int, text: bytes, places: list[int], end: bytes = bytes(8), magic: bytes = b"textgen1") -> bytes:
    return struct.pack("<8sQ", magic, size) + text + end + np.array(places, "<u4").tobytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(HEAD.size),
        forged(2, b"ab", [0, 1], magic=b"textgen2"),
        forged(2**63, b"ab", [0, 1]),
        forged(0, b"", []),
        forged(11, b"ab", [0, 1]),
        forged(2, b"ab", [0]),
        forged(2, b"ab", [0, 2**32 - 1]),
        forged(2, b"ab", [0, 1]) + b"\0",
        forged(2, b"ab", [0, 1], end=b"\0" * 7 + b"x"),
        forged(2, b"ab", [0, 1])[:-4],
    ],
)
def test_a_forged_index_is_refused_in_one_line(model_dir, content):
    (model_dir / COPY_INDEX).write_bytes(content)
    reseal(model_dir, (*MODEL_FILES, COPY_INDEX))
    with pytest.raises(ModelError, match="is no index of a text") as caught:
        open_index(load(model_dir))
    assert "\n" not in str(caught.value)
    assert list(problems(model_dir)) == [COPY_INDEX]


@pytest.mark.parametrize(
    "content",
    [forged(2, b"ab", [1, 0]), forged(2, b"ab", [0, 0]), forged(2, b"\xe4b", [1, 0]), forged(2, b"\xffb", [1, 0])],
)
def test_verify_finds_an_index_that_is_not_that_of_its_text(model_dir, content):
    (model_dir / COPY_INDEX).write_bytes(content)
    reseal(model_dir, (*MODEL_FILES, COPY_INDEX))
    assert list(problems(model_dir)) == [COPY_INDEX]
