"""Prepared corpora that are kept: found again, made anew, removed, and never used when they are not whole."""

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from prepared_corpora import LINES, NAMES, entries, folder, prepared_of  # noqa: F401 (folder is of every test)
from whole_texts import read_corpus, split_text, write

from textgen.config import TextConfig
from textgen.corpus import catalogue, download
from textgen.dataset import cache
from textgen.dataset.cache import FILES, TRAIN_IDS, VALIDATION_IDS
from textgen.errors import CorpusError, DownloadError
from textgen.records import CorpusRecord
from textgen.store import manifest
from textgen.store.atomic import ABANDONED_SECONDS
from textgen.store.strict_json import document_bytes
from textgen.tokenizers import CharacterTokenizer


def stages_of(*sources: str, **options) -> set[str]:
    """What was done to the corpus."""
    stages = set()
    prepared_of(*sources, progress=lambda stage, done, total: stages.add(stage), **options)
    return stages


def test_the_second_time_only_the_bytes_are_compared():
    write("names.txt", NAMES)
    assert stages_of("names.txt", config=LINES) == {"checking", "reading", "encoding"}
    first = prepared_of("names.txt", config=LINES)
    assert stages_of("names.txt", config=LINES) == {"checking"}
    os.rename("names.txt", "renamed.txt")
    again = prepared_of("renamed.txt", config=LINES)
    assert again.notes == first.notes
    assert (again.sha256, again.characters, again.num_documents) == (
        first.sha256,
        first.characters,
        first.num_documents,
    )
    np.testing.assert_array_equal(again.train_ids, first.train_ids)
    np.testing.assert_array_equal(again.validation_ids, first.validation_ids)


def test_an_entry_of_an_older_format_is_made_anew():
    write("names.txt", NAMES)
    with mock.patch.object(cache, "PREPARED_FORMAT", cache.PREPARED_FORMAT - 1):
        prepared_of("names.txt")
    assert stages_of("names.txt") == {"checking", "reading", "encoding"}


def test_a_run_that_is_resumed_finds_what_the_first_one_made():
    first = prepared_of(write("names.txt", NAMES))
    assert stages_of("names.txt", tokenizer=CharacterTokenizer(first.tokenizer.symbols)) == {"checking"}
    assert len(entries()) == 1
    prepared_of("names.txt", tokenizer=CharacterTokenizer(first.tokenizer.symbols + "~"))
    assert len(entries()) == 2


def test_a_tokenizer_that_extends_another_is_kept_apart_from_a_fresh_one():
    write("names.txt", NAMES)
    base = CharacterTokenizer("Anz~")
    fresh, extended = prepared_of("names.txt"), prepared_of("names.txt", base=base)
    assert extended.tokenizer.symbols == "".join(sorted({*fresh.tokenizer.symbols, *"~z"}))
    assert stages_of("names.txt", base=base) == stages_of("names.txt") == {"checking"}
    assert prepared_of("names.txt").tokenizer.symbols == fresh.tokenizer.symbols
    assert "reading" in stages_of("names.txt", base=CharacterTokenizer("An~"))
    assert len(entries()) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"config": LINES.replace(normalize="nfc")},
        {"config": LINES.replace(encoding="ascii")},
        {"config": LINES.replace(level="word")},
        {"config": TextConfig(level="char")},
        {"val_fraction": 0.2},
        {"seed": 1},
        {"tokenizer": CharacterTokenizer("\n" + "".join(sorted(set(NAMES) - {"\n"})) + "~", "\n")},
    ],
    ids=["normalize", "encoding", "level", "documents", "share", "seed", "tokenizer"],
)
def test_whatever_the_ids_depend_on_makes_them_anew(change):
    write("names.txt", NAMES)
    prepared_of("names.txt", config=LINES)
    assert "encoding" in stages_of("names.txt", **{"config": LINES} | change)


def test_a_file_that_was_changed_is_prepared_anew_and_the_old_one_is_found_again():
    write("names.txt", NAMES)
    prepared_of("names.txt")
    stat = os.stat("names.txt")
    write("names.txt", NAMES.replace("Ann", "Nan"))
    os.utime("names.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time
    assert "Nan" in prepared_of("names.txt").tokenizer.decode(prepared_of("names.txt").train_ids)
    write("names.txt", NAMES)
    assert stages_of("names.txt") == {"checking"}


@pytest.mark.parametrize("name", [*FILES, manifest.MANIFEST])
def test_an_entry_that_is_damaged_is_made_anew(name):
    write("names.txt", NAMES)
    train_ids = prepared_of("names.txt", config=LINES).train_ids.copy()  # of what is mapped, the damage shows
    path = Path("cache/prepared", entries()[0], name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "encoding" in stages_of("names.txt", config=LINES)
    assert stages_of("names.txt", config=LINES) == {"checking"}
    np.testing.assert_array_equal(prepared_of("names.txt", config=LINES).train_ids, train_ids)


@pytest.mark.parametrize("name", [*FILES, manifest.MANIFEST])
def test_an_entry_without_one_of_its_files_is_made_anew(name):
    write("names.txt", NAMES)
    prepared_of("names.txt", config=LINES)
    Path("cache/prepared", entries()[0], name).unlink()
    assert "encoding" in stages_of("names.txt", config=LINES)


def test_what_is_prepared_is_for_its_owner_alone(folder):  # noqa: F811
    """Also where an older version left its directory open."""
    (folder / "cache" / "prepared").mkdir(parents=True)
    os.chmod("cache/prepared", 0o755)
    before = os.umask(0o022)
    try:
        prepared_of(write("names.txt", NAMES))
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in Path("cache/prepared").rglob("*")}
        assert {modes[path] for path in modes if path.is_dir()} == {0o700}
        assert {modes[path] for path in modes if not path.is_dir()} == {0o600}
        assert stat.S_IMODE(os.stat("cache/prepared").st_mode) == 0o700
        os.chmod("cache/prepared", 0o755)
        prepared_of("names.txt")
        assert stat.S_IMODE(os.stat("cache/prepared").st_mode) == 0o700
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


# ---- an entry that somebody changed and sealed again


def changed_json(name: str, **changes):
    def change(entry: Path) -> None:
        document = json.loads((entry / name).read_text()) | changes
        (entry / name).write_bytes(document_bytes({key: value for key, value in document.items() if key != "format"}))

    return change


def changed_ids(change, name: str = TRAIN_IDS):
    def change_file(entry: Path) -> None:
        (entry / name).write_bytes(change((entry / name).read_bytes()))

    return change_file


TOKENIZER, FACTS = FILES[2:]
RESEALED = {
    "two ids in each other's place": changed_ids(lambda ids: ids[1::-1] + ids[2:]),
    "in the validation part": changed_ids(lambda ids: ids[::-1], VALIDATION_IDS),
    "an id beyond the vocabulary": changed_ids(lambda ids: b"\xff" + ids[1:]),
    "another tokenizer": changed_json(TOKENIZER, symbols="ABCDabdeinox"),
    "fewer characters": changed_json(FACTS, characters=3),
    "a list of facts": lambda entry: (entry / FACTS).write_text("[]"),
    "no signature": lambda entry: (entry / cache.SIGNATURE).unlink(),
    "another signature": lambda entry: (entry / cache.SIGNATURE).write_text("0" * 64),
    "a signature that is waited for": lambda entry: (
        (entry / cache.SIGNATURE).unlink(),
        os.mkfifo(entry / cache.SIGNATURE),
    ),
}


@pytest.mark.parametrize("case", RESEALED)
def test_an_entry_that_was_changed_and_sealed_again_is_made_anew(case):
    first = prepared_of(write("names.txt", NAMES), config=LINES)
    train_ids, facts = first.train_ids.copy(), first[3:]
    entry = Path("cache/prepared", entries()[0])
    RESEALED[case](entry)
    manifest.seal(entry, FILES)
    assert "encoding" in stages_of("names.txt", config=LINES)
    assert stages_of("names.txt", config=LINES) == {"checking"}
    again = prepared_of("names.txt", config=LINES)
    np.testing.assert_array_equal(again.train_ids, train_ids)
    assert (again.tokenizer.to_json(), again[3:]) == (first.tokenizer.to_json(), facts)


def test_an_entry_under_another_name_is_made_anew():
    prepared_of(write("names.txt", NAMES), config=LINES)
    (name,) = entries()
    prepared_of("names.txt", config=TextConfig(level="char"))
    (other,) = {*entries()} - {name}
    shutil.rmtree(f"cache/prepared/{other}")
    shutil.copytree(f"cache/prepared/{name}", f"cache/prepared/{other}")
    assert "encoding" in stages_of("names.txt", config=TextConfig(level="char"))


def test_a_resumed_run_does_not_take_another_hash_from_a_changed_entry():
    first = prepared_of(write("names.txt", NAMES))
    entry = Path("cache/prepared", entries()[0])
    changed_json(FACTS, sha256="0" * 64)(entry)
    manifest.seal(entry, FILES)
    again = prepared_of("names.txt", tokenizer=first.tokenizer, expected=CorpusRecord(sha256=first.sha256))
    assert again.sha256 == first.sha256


def test_the_newest_ten_are_kept_and_what_is_used_counts_as_new():
    for i in range(cache.NUM_KEPT):
        prepared_of(write("t.txt", f"text {i}"))
        path = Path("cache/prepared", max(entries(), key=lambda name: os.stat(f"cache/prepared/{name}").st_mtime_ns))
        for file in (*path.iterdir(), path):
            os.utime(file, (1000.0 + i, 1000.0 + i))
    prepared_of(write("t.txt", "text 0"))
    before = set(entries())
    prepared_of(write("new.txt", "something new"))
    assert len(entries()) == cache.NUM_KEPT
    assert len(before - set(entries())) == 1
    assert stages_of("t.txt") == {"checking"}
    assert stages_of(write("t.txt", "text 1")) != {"checking"}


def test_what_a_killed_process_left_is_removed_later_and_what_is_at_work_is_not():
    prepared_of(write("t.txt", "first"))
    dead, alive = (f".{digit * 32}.abc.tmp" for digit in "de")
    for name, age in ((dead, 2 * ABANDONED_SECONDS), (alive, 2 * ABANDONED_SECONDS)):
        directory = Path("cache/prepared", name)
        directory.mkdir()
        (directory / TRAIN_IDS).write_bytes(b"half")
        os.utime(directory, (time.time() - age,) * 2)
    os.utime(f"cache/prepared/{dead}/train_ids", (time.time() - age,) * 2)
    prepared_of(write("t.txt", "second"))
    assert [name for name in entries() if name.startswith(".")] == [alive]


def test_what_the_cache_has_not_made_is_not_removed():
    """The folder that is named may be one of the user's."""
    for number in range(2 * cache.NUM_KEPT):
        Path("cache/prepared", f"diary {number}").mkdir(parents=True)
    Path("cache/prepared/.diary.tmp").touch()
    os.utime("cache/prepared/.diary.tmp", (1000.0, 1000.0))
    prepared_of(write("t.txt", NAMES))
    assert len(entries()) == 2 * cache.NUM_KEPT + 2


def test_a_download_removes_what_a_killed_one_left(monkeypatch):
    left = Path("cache/corpora/.tale.txt.abc.tmp")
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (1000.0, 1000.0))
    monkeypatch.setattr(download, "_blocks", lambda *arguments: iter([]))
    with pytest.raises(DownloadError, match="ended after 0 of "):
        download.fetch(next(entry for entry in catalogue.CATALOGUE if entry.download))
    assert os.listdir("cache/corpora") == []


def test_a_cache_that_cannot_be_written_is_named_with_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / "file"))
    write("file", "in the way")
    with pytest.raises(CorpusError) as caught:
        prepared_of(write("t.txt", NAMES))
    assert str(caught.value) == (
        f"cannot keep the prepared corpus in {tmp_path}/file/prepared: Not a directory. "
        "Set TEXTGEN_CACHE_DIR to a folder with room"
    )


def test_a_disk_that_is_full_leaves_nothing_half_written():
    """The system refuses to let a file grow: real writes, real errors."""
    write("t.txt", NAMES * 2000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    try:
        with pytest.raises(
            CorpusError, match=r"cannot keep the prepared corpus in .*/cache/prepared: File too large\."
        ):
            prepared_of("t.txt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert entries() == []
    assert len(prepared_of("t.txt").train_ids) > 65_536


PREPARE_SLOWLY = """
import sys, time
from textgen.config import TextConfig
from textgen.corpus import open_corpus
from textgen.dataset.split import Split
from textgen.dataset import prepare, shards
shards.SHARD_CHARACTERS = 1 << 20

def stop(stage, done, total):
    if stage == "encoding" and done > total // 2:
        print("half", flush=True)
        time.sleep(60)

prepare(open_corpus(["t.txt"], TextConfig(level="char")), Split(0.1), progress=stop)
"""


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_that_is_used():
    write("t.txt", NAMES * 40_000)
    process = subprocess.Popen([sys.executable, "-c", PREPARE_SLOWLY], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (left,) = entries()
    assert left.endswith(".tmp")
    assert os.stat(f"cache/prepared/{left}/{TRAIN_IDS}").st_size > 0
    text = read_corpus("t.txt").text
    prepared = prepared_of("t.txt")
    np.testing.assert_array_equal(prepared.train_ids, prepared.tokenizer.encode(split_text(text, 0.1)[0]))
    for file in (*Path("cache/prepared", left).iterdir(), Path("cache/prepared", left)):
        os.utime(file, (1000.0, 1000.0))
    prepared_of(write("other.txt", "something else"))
    assert left not in entries()
    assert len(entries()) == 2


def test_two_processes_that_prepare_the_same_at_once_both_have_it():
    write("t.txt", NAMES * 20_000)
    script = PREPARE_SLOWLY.replace("time.sleep(60)", "sys.stdin.read()")
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == b"half\n"
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    (left,) = entries()
    assert not left.endswith(".tmp")
