"""Text in a file that a user named: a file is replaced whole, and what is no file stays what it is."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from repl_transcript import notices

from textgen.store.output_file import write_file


def written(path: Path, text: str) -> str:
    write_file(path, text)
    return path.read_text(encoding="utf-8")


def test_a_file_is_made_or_replaced_whole(tmp_path):
    assert [written(tmp_path / "file", text) for text in ("a longer one", "é\r\n")] == ["a longer one", "é\n"]
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("old")
    (tmp_path / "link").symlink_to("inner/file")
    (tmp_path / "second").symlink_to("link")
    (tmp_path / "new").symlink_to("inner/new")
    for name, target in (("second", "file"), ("new", "new")):
        assert written(tmp_path / name, "text") == "text"
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "inner" / target).read_text() == "text"
    assert sorted(os.listdir(tmp_path / "inner")) == ["file", "new"]


def test_a_pipe_stays_and_its_reader_gets_the_text(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    while True:
        try:
            write_file(tmp_path / "pipe", "x" * 1_000_000)  # more than a pipe holds
            break
        except OSError:  # the reader has not come yet
            assert reader.is_alive()
    reader.join()
    assert got == ["x" * 1_000_000]
    assert (tmp_path / "pipe").is_fifo()


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        write_file(tmp_path / "pipe", "text")


def test_a_device_stays(tmp_path):
    leader, terminal = os.openpty()
    (tmp_path / "link").symlink_to(os.ttyname(terminal))
    write_file(tmp_path / "link", "text")
    assert os.read(leader, 100) == b"text"
    assert stat.S_ISCHR(os.stat(os.ttyname(terminal)).st_mode)
    write_file(Path("/dev/null"), "text")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


SAMPLE = "from textgen.cli import main; main()"


def test_sample_writes_to_standard_output_wherever_that_leads(tmp_path, models_dir):
    """Appended, where that is a file: it is the shell's, which may have written to it."""
    command = [sys.executable, "-c", SAMPLE, "sample", "tiny", "-n", "20", "--models-dir", str(models_dir), "-o"]
    said = subprocess.run([*command, "-"], stdout=subprocess.PIPE, check=True).stdout
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before\n")
        log.flush()
        subprocess.run([*command, "/dev/stdout"], stdout=log, check=True)
    assert len(said) == 21
    assert (tmp_path / "log").read_bytes() == b"before\n" + said
    assert sorted(os.listdir(tmp_path)) == ["log", "models"]


def test_the_story_of_a_session_is_saved_by_the_same_rule(tmp_path):
    (tmp_path / "link").symlink_to("file")
    lines = notices("a", f"/save {tmp_path}/link", f"/save! {tmp_path}/link", "/save! /dev/null", f"/save! {tmp_path}")
    assert [line.split()[0] for line in lines[:3]] == [f"{tmp_path}/link", "saved", "saved"]
    assert lines[3] == f"{tmp_path} is not a file"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "abcd"
