"""Signals while a run is under way."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from textgen.training.signals import Stopped, StopRequest

pytestmark = pytest.mark.usefixtures("signals_are_heard")
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)


@SIGNALS
def test_a_signal_is_a_request_and_the_handler_before_comes_back(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.signal_number == number
    assert signal.getsignal(number) is before


def test_the_handlers_come_back_when_the_run_fails():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), StopRequest():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone():
    """Python takes signal handlers in the main thread only; a run elsewhere goes on without them."""
    before, found = signal.getsignal(signal.SIGINT), []

    def run():
        with StopRequest() as stop:
            found.append((stop(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [(False, before)]


def test_who_asked_not_to_hear_of_a_closed_terminal_does_not():
    """`nohup textgen train` goes on when the terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


# ---- where there is nothing to save


@SIGNALS
def test_where_there_is_nothing_to_save_a_signal_is_an_exception(number):
    with StopRequest() as stop:
        with pytest.raises(KeyboardInterrupt) as caught, stop.raising():
            os.kill(os.getpid(), number)
        assert caught.value.exit_status == 128 + number


def test_a_signal_that_came_before_is_raised_at_once():
    reached = []
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped), stop.raising():
            reached.append(1)
    assert reached == []


def test_a_signal_that_was_swallowed_is_raised_at_the_end():
    with StopRequest() as stop, pytest.raises(Stopped), stop.raising(), contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)  # the exception is lost, as in a destructor


def test_after_it_a_signal_is_a_request_again():
    with StopRequest() as stop:
        with stop.raising():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()


@SIGNALS
def test_in_a_python_program_a_second_signal_is_an_exception(number):
    with StopRequest(ends_process=False) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            os.kill(os.getpid(), number)
        assert stop.signal_number == signal.SIGINT


def test_who_is_asked_without_a_signal_stops_as_after_ctrl_c():
    with StopRequest() as stop:
        stop.ask()
        assert (stop(), stop.signal_number) == (True, signal.SIGINT)


# ---- processes

WAITS = """
import sys, time
from textgen.training.signals import StopRequest
with StopRequest() as stop:
    print("waiting", flush=True)
    while True:
        if stop():
            print("asked", flush=True)
            time.sleep(60)
        time.sleep(0.01)
"""


@SIGNALS
def test_a_second_signal_ends_the_process_at_once_with_the_usual_status(number):
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stdout.readline() == "asked\n"
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number


SAVES_WHEN_ASKED = """
import pathlib, sys, time
from textgen.training.signals import StopRequest
with StopRequest() as stop:
    print("waiting", flush=True)
    while not stop():
        time.sleep(0.01)
    for _ in range(10):
        print("saving", file=sys.stderr, flush=True)
        print("saving", flush=True)
    pathlib.Path(sys.argv[1]).write_text("saved")
"""


def test_when_the_terminal_is_closed_what_is_said_goes_nowhere_and_the_run_is_saved(tmp_path):
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", SAVES_WHEN_ASKED, tmp_path / "file"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, start_new_session=True, **streams) as process:
        os.close(theirs)
        assert os.read(ours, 7) == b"waiting"
        os.close(ours)  # what is written to it fails from now on
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "file").read_text() == "saved"
