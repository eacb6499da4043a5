"""The end of a process that waits where no thread of Python runs: these sleep in C, and hold Python's lock."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

BEGINNING = """
import ctypes, os, signal, sys, time
from textgen.workers.guard import guarded
def hang(seconds):
    ctypes.PyDLL(None).sleep(seconds)
def hide():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # as TensorFlow's own words are, for as long as it connects
"""


@contextlib.contextmanager
def process(script: str) -> Iterator[subprocess.Popen]:
    """A process of its own group that runs the script, with what it and its children say."""
    arguments = [sys.executable, "-c", BEGINNING + script]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, start_new_session=True, text=True, **streams) as running:
        yield running
        running.kill()


def test_a_process_that_hangs_with_pythons_lock_ends_with_the_line_wherever_its_errors_go_now():
    line = "textgen: 100% of $HOME `id` \\n 'is not' there"
    with process(f"with guarded(0.2, {line!r}): hide(); hang(60); print('went on')") as running:
        began = time.monotonic()
        assert running.communicate(timeout=30) == ("", line + "\n")
    assert running.returncode == 1
    assert time.monotonic() - began < 20


def test_a_block_that_ends_in_time_or_fails_is_not_heard_of_and_leaves_nothing_behind():
    script = """
with guarded(0.2, "not said"): pass
try:
    with guarded(0.2, "not said"): raise KeyError
except KeyError:
    hang(1)
try: os.waitpid(-1, os.WNOHANG)
except ChildProcessError: print("no child")
"""
    with process(script) as running:
        assert running.communicate(timeout=30) == ("no child\n", "")
    assert running.returncode == 0


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)"])
def test_a_process_that_ends_for_another_reason_is_not_said_to_have_waited(ending):
    with process(f"with guarded(60, 'not said'): {ending}") as running:
        assert running.communicate(timeout=30) == ("", "")
    assert running.returncode in (3, -signal.SIGKILL)


def test_the_line_comes_though_ctrl_c_reaches_all_that_the_terminal_has():
    script = """
signal.signal(signal.SIGINT, lambda *_: None)
with guarded(1, "said"):
    print("in", flush=True)
    while True: hang(60)
"""
    with process(script) as running:
        assert running.stdout.readline() == "in\n"
        os.killpg(running.pid, signal.SIGINT)
        assert running.communicate(timeout=30) == ("", "said\n")
    assert running.returncode == 1
