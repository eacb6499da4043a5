"""Damage is noticed: every cut and every flipped bit of every file, before anything is used, with the file's name."""

import errno
import hashlib
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from damaging import (
    bit_flips,
    change_weights,
    cuts,
    message_of,
    problem_of,
    replace_content,
    reseal,
    write_full_model,
    write_run,
)

from textgen.config import STORAGES
from textgen.errors import ModelError
from textgen.store import manifest, model_directory, strict_json, tensors
from textgen.store.checkpoints import Checkpoint, load_newest
from textgen.store.manifest import MANIFEST
from textgen.store.model_directory import CHECKPOINT_FILES, MODEL_FILES


@pytest.fixture(params=[("char", "float32"), ("word", "int8")], ids="-".join)
def model_dir(request, tmp_path) -> Path:
    level, storage = request.param
    return write_full_model(tmp_path, level, storage=storage)


@pytest.fixture
def checkpoint_dir(tmp_path) -> Path:
    return write_run(tmp_path / "run", steps=(10,))[0]


def load(path: Path):
    return model_directory.load_model(path.name, path.parent)


def check_cuts(directory: Path, read, name: str, draw: random.Random) -> None:
    content = (directory / name).read_bytes()
    for length in sorted(cuts(draw, len(content))):
        replace_content(directory / name, content[:length])
        assert name in (problem_of(read, directory) or ""), length
    replace_content(directory / name, content)
    assert problem_of(read, directory) is None


def check_bit_flips(directory: Path, read, num_flips: int, seed: int) -> None:
    contents = {path.name: path.read_bytes() for path in directory.iterdir()}
    for name, flipped in bit_flips(random.Random(seed), directory, num_flips):
        replace_content(directory / name, flipped)
        assert name in (problem_of(read, directory) or ""), flipped
        replace_content(directory / name, contents[name])
    assert problem_of(read, directory) is None


# ---- every bit and every cut


@pytest.mark.parametrize("name", [*MODEL_FILES, MANIFEST])
def test_a_cut_file_of_a_model_is_detected_and_named(model_dir, name):
    check_cuts(model_dir, load, name, random.Random(name))


@pytest.mark.parametrize("name", [*CHECKPOINT_FILES, MANIFEST])
def test_a_cut_file_of_a_checkpoint_is_detected_and_named(checkpoint_dir, name):
    check_cuts(checkpoint_dir, Checkpoint.read, name, random.Random(name))


def test_500_flipped_bits_in_a_model_are_all_detected_and_named(model_dir):
    check_bit_flips(model_dir, load, 500, seed=1)


def test_flipped_bits_in_a_checkpoint_are_all_detected_and_named(checkpoint_dir):
    check_bit_flips(checkpoint_dir, Checkpoint.read, 150, seed=2)


def test_every_bit_of_a_manifest_counts(model_dir):
    content = (model_dir / MANIFEST).read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        replace_content(model_dir / MANIFEST, flipped)
        assert MANIFEST in (problem_of(lambda path: manifest.verify(path, MODEL_FILES), model_dir) or ""), bit


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_thousands_of_flipped_bits_are_all_detected_and_named(tmp_path, seed):
    level, storage = ("char", "word")[seed % 2], STORAGES[seed % 3]
    check_bit_flips(write_full_model(tmp_path, level, storage=storage), load, 2000, seed)
    check_bit_flips(write_run(tmp_path / "run", steps=(10,))[0], Checkpoint.read, 2000, seed)


# ---- the manifest, which holds no hash of itself


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n  ", b"\n\t "),
        (b"{\n", b"{\r\n"),
        (b": 3,", b": 3.0,"),
        (b": 3,", b": 3 ,"),
        (b'"format"', b'"\\u0066ormat"'),
        (b"}\n", b"}\n\n"),
        (b"}\n", b"}"),
        (b"{", b"\xef\xbb\xbf{"),
        (b'{\n  "format": 3,', b'{\n  "format": 3,\n  "format": 3,'),
    ],
)
def test_a_manifest_that_says_the_same_in_other_bytes_is_refused(model_dir, old, new):
    content = (model_dir / MANIFEST).read_bytes()
    assert old in content
    replace_content(model_dir / MANIFEST, new.join(content.rsplit(old, 1) if old == b"}\n" else content.split(old, 1)))
    assert str(model_dir / MANIFEST) in message_of(model_dir)


def test_hashes_in_capitals_are_refused(model_dir):
    content = (model_dir / MANIFEST).read_text()
    sha256 = hashlib.sha256((model_dir / "config.json").read_bytes()).hexdigest()
    (model_dir / MANIFEST).write_text(content.replace(sha256, sha256.upper()))
    assert message_of(model_dir) == f"{model_dir / MANIFEST} must give bytes and sha256 of config.json"


def test_the_order_of_the_files_counts(model_dir):
    manifest.seal(model_dir, MODEL_FILES[::-1])
    assert "manifest.json is damaged: it is not written as textgen writes it" in message_of(model_dir)


# ---- what else can become of a file


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_file_that_grew_is_detected_and_named(model_dir, name):
    with (model_dir / name).open("ab") as file:
        file.write(b"\n")
    size = (model_dir / name).stat().st_size
    said = f"{model_dir / name} is damaged: manifest.json says {size - 1} bytes. Received: {size}. "
    assert message_of(model_dir) == said + "Restore it or train it again"


@pytest.mark.parametrize("name", MODEL_FILES)
def test_another_byte_is_detected_and_named(model_dir, name):
    content = (model_dir / name).read_bytes()
    replace_content(model_dir / name, content[:-1] + bytes([content[-1] ^ 1]))
    said = f"{model_dir / name} is damaged: its SHA-256 is not the one in manifest.json. Restore it or train it again"
    assert message_of(model_dir) == said


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file_is_named(model_dir, name):
    (model_dir / name).unlink()
    assert message_of(model_dir) == f"{model_dir / name} is missing"


def test_files_that_changed_places_are_detected(model_dir):
    one, other = model_dir / "config.json", model_dir / "tokenizer.json"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert message_of(model_dir).startswith(f"{one} is damaged")


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_file_that_the_disk_cannot_read_is_named(model_dir, name, monkeypatch):
    real, opened = hashlib.file_digest, []
    open_plain = strict_json.open_plain

    def remembering(path: Path):
        opened.append(path.name)
        return open_plain(path)

    def failing(file, algorithm):
        if opened[-1] == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, algorithm)

    monkeypatch.setattr(manifest, "open_plain", remembering)
    monkeypatch.setattr(hashlib, "file_digest", failing)
    assert message_of(model_dir) == f"{model_dir / name} cannot be read: Input/output error"


# ---- what is used instead


def test_a_damaged_finished_model_is_not_replaced_by_a_checkpoint(model_dir):
    write_run(model_dir, steps=(10,))
    assert load(model_dir).is_finished
    (model_dir / "samples.txt").unlink()
    assert "samples.txt is missing" in message_of(model_dir)


@pytest.mark.parametrize("name", [*CHECKPOINT_FILES, MANIFEST])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, name):
    newest, before = write_run(tmp_path / "run", steps=(10, 20))
    replace_content(newest / name, (newest / name).read_bytes()[:-1] + b"?")
    assert load(tmp_path / "run").path == before
    checkpoint, problems = load_newest(tmp_path / "run")
    assert checkpoint.progress.step == 10
    assert len(problems) == 1
    assert name in problems[0]


def test_a_checkpoint_that_was_being_written_is_passed_over(tmp_path):
    (checkpoint,) = write_run(tmp_path / "run", steps=(10,))
    shutil.copytree(checkpoint, checkpoint.with_name(".step-00000020.abc.tmp"))
    assert load(tmp_path / "run").path == checkpoint


def test_when_every_checkpoint_is_damaged_each_is_named(tmp_path):
    damaged = [path / "weights.safetensors" for path in write_run(tmp_path / "run", steps=(10, 20))]
    for path in damaged:
        path.unlink()
    message = message_of(tmp_path / "run")
    assert all(f"{path} is missing" in message for path in damaged)


def test_the_newest_checkpoint_is_that_of_the_most_steps(tmp_path):
    for name in ("step-99999999", "step-100000000", "step-1", "step-0000000x", "step-00000010.bak"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    found = [path.name for path in model_directory.checkpoint_dirs(tmp_path)]
    assert found == ["step-100000000", "step-99999999"]


def test_weights_that_cannot_be_a_models_are_refused(model_dir):
    num_ids = load(model_dir).record.model.vocabulary_size
    for value in (np.nan, np.inf, -np.inf, 1e10):
        bias = np.where(np.arange(num_ids) == 3, value, 0).astype(np.float32)
        change_weights(model_dir / "weights.safetensors", lambda w, b=bias: w.update({"output.bias": b}))
        reseal(model_dir)
        said = (
            f"{model_dir / 'weights.safetensors'}: tensor 'output.bias' holds numbers that are not finite, or too large"
        )
        assert message_of(model_dir) == said


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    for read in (tensors.read_tensors, strict_json.read_json):
        with pytest.raises(ModelError, match=r"none is missing$"):
            read(tmp_path / "none")
