"""Signals while a run is under way."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from textgen.training.stopping import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


WAITS = """
import sys, time
from textgen.training.stopping import StopRequest
with StopRequest() as stop:
    print("waiting", flush=True)
    while True:
        if stop():
            print("asked", flush=True)
            time.sleep(60)
        time.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_process_at_once_with_the_usual_status(number):
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stdout.readline() == "asked\n"
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
