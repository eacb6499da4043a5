"""What is free, as a system tells it, and commands that ask for more."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import one_line
from conftest import make_stored_model, write_stored_model
from plans import everything_in

from textgen import memory
from textgen.memory import available_bytes, check_fits
from textgen.store.shipped import PACKAGE

MEMINFO = "MemTotal: 9000 kB\nMemAvailable: 5000 kB\nSwapFree: 1000 kB\nHugePages_Total: 0\n"
STAT = "anon 1\ninactive_file 100\ntotal_inactive_file 200\n"


def system(root: Path, files: dict[str, str]) -> int | None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return available_bytes(root)


def group(folder: str, limit: str, used: str, most: str, taken: str) -> dict[str, str]:
    return {f"{folder}/{limit}": most, f"{folder}/{used}": taken, f"{folder}/memory.stat": STAT}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 6_144_000),
        ({"proc/self/cgroup": "0::/a/b\n"}, 6_144_000),
        (
            {"proc/self/cgroup": "0::/a/b\n"}
            | group("sys/fs/cgroup/a", "memory.max", "memory.current", "5000\n", "1000\n")
            | group("sys/fs/cgroup/a/b", "memory.max", "memory.current", "max\n", "1000\n"),
            4100,
        ),
        (
            {"proc/self/cgroup": "3:cpu:/x\n4:memory:/elsewhere\n0::/\n"}
            | group("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "5000\n", "6000\n"),
            0,
        ),
        ({"proc/self/cgroup": "nonsense\n4:memory\n"}, 6_144_000),
    ],
    ids=["no groups", "no limits", "a limit above", "over its limit", "nonsense"],
)
def test_what_is_free_is_the_least_of_what_the_machine_and_the_groups_have_left(tmp_path, files, free):
    assert system(tmp_path, {"proc/meminfo": MEMINFO} | files) == free


def test_this_machine_tells_what_is_free():
    if sys.platform == "linux":
        assert 0 < available_bytes() < 2**50


def test_where_nothing_is_known_nothing_is_refused(tmp_path, monkeypatch):
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(memory.os, "sysconf", unknown)
    assert available_bytes(tmp_path) is None
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    check_fits(1e30, "this", "Nothing helps")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "train novel.txt --units 65536 --num-layers 16",
            "training needs about [0-9,.]+ GB .* Lower --units, which is",
        ),
        (
            "train novel.txt --level word --embedding-size 65536 --units 65536 --steps 1",
            r"Lower --units, which is 65,536",
        ),
        ("sample tiny -n 2147483647 --num-samples 1000000", "writing 1,000,000 texts of --length 2147483647 needs"),
        (
            "sample tiny -n 2147483647 --num-samples 9999 -o a.txt --ignore-eod",
            r"free\. Lower --length or --num-samples$",
        ),
    ],
)
def test_what_no_machine_has_is_refused_in_one_line_and_nothing_is_written(tmp_path, command, said):
    (tmp_path / "novel.txt").write_text("the cat sat on a mat. " * 200)
    write_stored_model(tmp_path / "saved_models", make_stored_model())
    before = everything_in(tmp_path)
    environment = os.environ | {"TEXTGEN_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "textgen", *command.split()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert re.search(said, one_line(done)), one_line(done)
    assert (done.returncode, done.stdout) == (2, b"")
    assert everything_in(tmp_path) == before
