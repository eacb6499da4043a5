"""SIGINT, SIGTERM and SIGHUP as a request to stop after the current step; a second signal ends the run at once.

On the command line it ends the process, in a Python program it raises an exception: a notebook goes on. Ending at once
does no harm: files are renamed into place only when they are whole. Before the first step there is nothing to save, and
a signal raises an exception.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_BASE = 128  # the exit status of a process that a signal ended, by convention
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal came where there is nothing to save; `exit_status` is the one it asks for."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.number = number
        self.exit_status = EXIT_BASE + number

    def __reduce__(self) -> tuple[type["Stopped"], tuple[int]]:
        return Stopped, (self.number,)


class StopRequest:
    """A context manager; while it is active, signals set `signal_number` instead of ending the process."""

    def __init__(self, *, ends_process: bool = True) -> None:
        """Args: ends_process: whether a second signal ends the process; else it raises Stopped."""
        self.signal_number: int | None = None
        self._ends_process = ends_process
        self._is_raising = False

    def __enter__(self) -> "StopRequest":
        self._previous = {}
        self._terminals = [stream for stream in (1, 2) if os.isatty(stream)]
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                    self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self.signal_number is not None

    def ask(self, number: int = signal.SIGINT) -> None:
        """Ask to stop, as Ctrl-C or another signal does."""
        self.signal_number = self.signal_number or number

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """While there is nothing to save: a signal, also one that came before, raises Stopped."""
        self._raise_if_asked()
        self._is_raising = True
        try:
            yield
        finally:
            self._is_raising = False
        self._raise_if_asked()  # an exception in a destructor, say, is swallowed

    def _raise_if_asked(self) -> None:
        if self.signal_number is not None:
            raise Stopped(self.signal_number)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_number is not None:
            if self._ends_process:
                os._exit(EXIT_BASE + number)
            raise Stopped(number)
        self.signal_number = number
        if number not in (signal.SIGINT, signal.SIGTERM):
            self._leave_terminal()
        if self._is_raising:
            raise Stopped(number)

    def _leave_terminal(self) -> None:
        """The terminal is closed: what is written from now on goes nowhere, instead of failing."""
        if self._terminals:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in self._terminals:
                os.dup2(nowhere, stream)
            os.close(nowhere)
