"""A corpus prepared by several processes: the same bytes, whatever happens to a process, and none that is left."""

import contextlib
import glob
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from prepared_corpora import entries, folder, prepared_of  # noqa: F401 (folder is of every test)
from whole_texts import write

from textgen import inspection, pretrained
from textgen.config import TextConfig
from textgen.corpus import open_corpus
from textgen.dataset import cache, jobs, kept, preparing, shards
from textgen.dataset.jobs import Jobs
from textgen.dataset.kept import KEPT_SECONDS
from textgen.dataset.shards import Shard, encode
from textgen.dataset.split import Split
from textgen.errors import CorpusError, ModelError, TokenizerError
from textgen.inspection import inspect_corpus
from textgen.tokenizers import CharacterTokenizer

WORDS = TextConfig(level="word")
LINES = [f"{n % 7} the {n:x}, it's {'cats ' * (n % 5)}“sat” \u6625 é\n" for n in range(200)]
KEY = 64 * "?"  # the name of a result
FILES = ("cache/prepared/*/*_ids", "cache/prepared/*/tokenizer.json", "cache/prepared/*/facts.json")


@pytest.fixture
def small():
    """A few hundred characters are a shard, and any text is a large one; until `undo`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_CHARACTERS", 500)
        patch.setattr(shards, "regrouped", in_small_blocks)
        patch.setattr(jobs, "LARGE", {"char": 1, "word": 1})
        yield patch


def in_small_blocks(blocks):
    return (block[i : i + 300] for block in blocks for i in range(0, len(block), 300))


def written(*sources: str, **options) -> dict[str, bytes]:
    """The files of what is prepared, which is then forgotten."""
    prepared_of(*sources, **options)
    assert len(entries()) == 1  # and nothing is kept any longer
    found = {Path(name).name: Path(name).read_bytes() for pattern in FILES for name in glob.glob(pattern)}
    assert len(found) == 4
    shutil.rmtree("cache/prepared")
    return found


def counted(monkeypatch) -> list[str]:
    """What is done from now on to shards in this process, one name for each."""
    done = []

    def counting(name, shard, **options):
        done.append(name)
        return getattr(shards, name)(shard, **options)

    for name in ("count", "encode"):
        monkeypatch.setattr(preparing, name, partial(counting, name))
    return done


# ---- the same bytes


@pytest.mark.parametrize("config", [TextConfig(level="char"), WORDS.replace(documents="line")], ids=["char", "lines"])
def test_a_text_in_shards_has_the_bytes_of_one_that_is_whole(config, small):
    name = write("t.txt", "".join(LINES))
    in_shards = written(name, config=config)
    small.undo()
    assert written(name, config=config) == in_shards


@pytest.mark.parametrize(
    ("config", "number"), [(TextConfig(level="char"), 2), (WORDS.replace(documents="line"), 3)], ids=["char", "lines"]
)
def test_any_number_of_processes_writes_the_same_bytes(config, number, small):
    third = len(LINES) // 3
    files = [write("a.txt", "".join(LINES[:third])), write("b.md", "".join(LINES[third : 2 * third]))]
    files.append(write("c.txt.gz", gzip.compress("".join(LINES[2 * third :]).encode())))
    with mock.patch.object(subprocess, "Popen", side_effect=subprocess.Popen) as started:
        alone = written(*files, config=config, jobs=1)
        assert started.call_count == 0
        assert written(*files, config=config, jobs=number) == alone
        assert started.call_count == number


class FakeProcess:
    """The function, in a thread of this process."""

    def takes(self, function) -> bool:
        self.ask = function
        return True

    def end(self) -> None:
        pass

    kill = end


def test_an_inspection_counts_the_same_words(small, monkeypatch):
    monkeypatch.setattr(inspection, "recurrent_rate", lambda: 1e9)
    monkeypatch.setattr(pretrained, "load", mock.Mock(side_effect=ModelError))
    monkeypatch.setattr(jobs, "_Process", FakeProcess)
    reader = open_corpus(write("t.txt", "".join(LINES)), TextConfig())
    alone, together = (inspect_corpus(reader, arguments="t.txt", jobs=number) for number in (1, 3))
    assert alone == together
    assert together.different_words > 100


def test_a_small_text_starts_no_process_and_keeps_nothing(monkeypatch):
    monkeypatch.setattr(jobs, "_Process", mock.Mock(side_effect=AssertionError))
    monkeypatch.setattr(kept.KeptShards, "add", mock.Mock(side_effect=AssertionError))
    prepared_of(write("t.txt", "".join(LINES)), config=WORDS, jobs=8)


def test_where_no_process_can_be_started_all_is_done_here(small, monkeypatch):
    alone = written(write("t.txt", "".join(LINES)), config=WORDS, jobs=1)
    for executable in (None, "/nowhere/python", "/bin/false"):
        monkeypatch.setattr(sys, "executable", executable)
        assert written("t.txt", config=WORDS, jobs=2) == alone


def test_there_are_no_more_processes_than_shards(small):
    with mock.patch.object(jobs, "_Process", FakeProcess), Jobs(64, 1_600, "word") as processes:
        assert len(list(processes.in_order(shards.count, shards.cut_shards(["a b " * 400], "word")))) > 1
        assert len(processes._started) == 4


def test_there_are_no_more_processes_than_there_is_memory_for(monkeypatch):
    monkeypatch.setattr(jobs, "available_cores", lambda: 64)
    for free, number in ((None, 64), (2**40, 64), (3 * 2**28, 3), (0, 1)):
        monkeypatch.setattr(jobs, "available_bytes", lambda free=free: free)
        assert jobs.default_jobs() == number


# ---- a shard that is done is not done again


SMALL = """
import glob, json, os, sys
sys.path[:] = json.loads(sys.argv[1])
from textgen.dataset import jobs, shards
shards.SHARD_CHARACTERS, jobs.LARGE["word"] = 500, 1
shards.regrouped = lambda blocks: (b[i : i + 300] for b in blocks for i in range(0, len(b), 300))

class Noted(jobs._Process):
    def __init__(self):
        super().__init__()
        print(self._process.pid, flush=True)

    def ask(self, shard):
        if len(glob.glob("cache/prepared/.*/" + 64 * "?")) >= int(sys.argv[2]):
            self.meet()
        return super().ask(shard)

jobs._Process = Noted
"""
KILLED = """
from prepared_corpora import prepared_of
from textgen.config import TextConfig
Noted.meet = lambda process: os.kill(os.getpid(), 9)
prepared_of("t.txt", config=TextConfig(level="word"), jobs=2)
"""
STOPPED = """
import textgen.cli
def wait(process):
    print("now", flush=True)
    process._process.wait()
Noted.meet = wait
textgen.cli.main("train t.txt --level word --init-from none --jobs 2".split())
"""


@pytest.mark.parametrize("number", [pytest.param(5, marks=pytest.mark.slow), 18])  # counting, encoding
def test_after_a_kill_no_shard_is_done_again_and_no_process_is_left(number, small, monkeypatch):
    write("t.txt", "".join(LINES))
    command = [sys.executable, "-c", SMALL + KILLED, json.dumps(sys.path), str(number)]
    killed = subprocess.run(command, capture_output=True, check=False, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    processes = [int(line) for line in killed.stdout.split()]
    assert len(processes) == 2
    (directory,) = glob.glob("cache/prepared/.*.kept-shards.tmp")
    assert os.stat(directory).st_mode & 0o777 == 0o700
    num_kept = len(glob.glob(f"{directory}/{KEY}"))
    assert num_kept >= number
    done = counted(monkeypatch)
    prepared = prepared_of("t.txt", config=WORDS, jobs=1)
    text = "".join(LINES)
    num_shards = len(list(shards.split_shards(iter([text]), "word", Split(0.1), len(text), 0)))
    assert len(done) == 2 * num_shards - num_kept
    assert done.count("count") == max(0, num_shards - num_kept)
    assert glob.glob("cache/prepared/.*.kept-shards.tmp") == []
    small.undo()
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", "other")
    np.testing.assert_array_equal(prepared.train_ids, prepared_of("t.txt", config=WORDS).train_ids)
    assert_ended(processes)


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 12], ids=["counting", "encoding"])
def test_a_signal_ends_a_command_and_its_processes(number, folder):  # noqa: F811
    write("t.txt", "".join(LINES))
    command = [sys.executable, "-c", SMALL + STOPPED, json.dumps(sys.path), str(number)]
    environment = os.environ | {"TEXTGEN_MODELS_DIR": "models", "TEXTGEN_STATE_DIR": "state"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"):
        process = subprocess.Popen(command, env=environment, text=True, **pipes)
        processes = [int(process.stdout.readline()) for _ in range(2)]
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.Signals[name])
        _, errors = process.communicate(timeout=60)
        if name == "SIGKILL":
            assert (process.returncode, errors) == (-9, "")
        else:
            assert process.returncode == 128 + signal.Signals[name]
            assert errors == "textgen: stopped before a step was made; nothing has changed\n"
        assert_ended(processes)
        assert len(glob.glob(f"cache/prepared/.*/{KEY}")) >= number


def assert_ended(processes: list[int]) -> None:
    until = time.monotonic() + 20
    while any(map(lives, processes)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(lives, processes))


def lives(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def interrupt_encoding(stage: str, done: int, total: int) -> None:
    if stage == "encoding":
        raise KeyboardInterrupt


def test_what_is_kept_goes_with_the_run_unless_it_is_stopped(small, monkeypatch):
    write("t.txt", "".join(LINES))
    with pytest.raises(KeyboardInterrupt):
        prepared_of("t.txt", config=WORDS, jobs=1, progress=interrupt_encoding)
    assert len(glob.glob(f"cache/prepared/.*/{KEY}")) > 10
    monkeypatch.setattr(cache, "make", mock.Mock(side_effect=CorpusError))
    with pytest.raises(CorpusError):
        prepared_of("t.txt", config=WORDS, jobs=1)
    assert entries() == []


def test_a_result_that_is_damaged_is_found_out_again(small, monkeypatch):
    write("t.txt", "".join(LINES))
    with pytest.raises(KeyboardInterrupt):
        prepared_of("t.txt", config=WORDS, jobs=1, progress=interrupt_encoding)
    first, second, third, *_ = names = sorted(glob.glob(f"cache/prepared/.*/{KEY}"))
    content = bytearray(Path(first).read_bytes())
    content[len(content) // 2] ^= 1
    Path(first).write_bytes(content)
    Path(second).write_bytes(b"")
    os.unlink(third)
    os.symlink(names[3], third)
    done = counted(monkeypatch)
    found = written("t.txt", config=WORDS, jobs=1)
    assert done.count("count") == 3
    assert found == written("t.txt", config=WORDS, jobs=1)


def test_what_cannot_be_kept_is_done_without(small, folder):  # noqa: F811
    alone = written(write("t.txt", "".join(LINES)), config=WORDS, jobs=1)
    full = mock.Mock(mkstemp=mock.Mock(side_effect=OSError(28, "No space left on device")))
    with mock.patch.object(kept, "tempfile", full):
        assert written("t.txt", config=WORDS, jobs=1) == alone
    little = mock.Mock(return_value=mock.Mock(free=4 * len("".join(LINES)) - 1))
    with mock.patch.object(shutil, "disk_usage", little), mock.patch.object(kept, "tempfile", None):
        assert written("t.txt", config=WORDS, jobs=1) == alone
    (folder / "elsewhere").mkdir()
    with mock.patch.object(kept.KeptShards, "__init__", linked(folder / "elsewhere")):
        prepared_of("t.txt", config=WORDS, jobs=1)
    assert os.listdir("elsewhere") == []


def linked(elsewhere: Path):
    """A link stands where results are kept."""
    right = kept.KeptShards.__init__

    def init(self, directory: Path, room: int) -> None:
        right(self, directory, room)
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.symlink_to(elsewhere)

    return init


def test_what_a_killed_run_left_is_removed_after_a_week(small):
    for days, name in ((6, "0" * 32), (8, "1" * 32)):
        directory = Path(f"cache/prepared/.{name}.kept-shards.tmp")
        directory.mkdir(parents=True)
        os.utime(directory, (time.time() - days * KEPT_SECONDS / 7,) * 2)
    prepared_of(write("t.txt", "".join(LINES)), config=WORDS)
    assert [name for name in entries() if name.startswith(".")] == [f".{'0' * 32}.kept-shards.tmp"]


# ---- a process that dies, or finds an error


def die(shard: Shard) -> dict:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_ends_in_one_line(small):
    message = (
        r"^a process that prepared the text has died \(SIGKILL\)\. Run it again, with fewer --jobs if memory is short$"
    )
    with pytest.raises(CorpusError, match=message), Jobs(2, 9_000, "word") as processes:
        list(processes.in_order(die, shards.cut_shards(LINES, "word")))


def test_the_first_error_is_the_one_that_is_raised(small, monkeypatch):
    monkeypatch.setattr(jobs, "_Process", FakeProcess)

    def slow_first(shard: Shard) -> dict:
        time.sleep(0.05 if "x" in shard.text else 0)
        return encode(shard, CharacterTokenizer("ab"))

    text = "ab" * 1000 + "x" + "ab" * 500 + "y"
    with pytest.raises(TokenizerError, match=r"'x' \(character 2,000 "), Jobs(3, 9_000, "char") as processes:
        list(processes.in_order(slow_first, shards.cut_shards([text], "char")))
