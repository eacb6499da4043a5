"""SIGINT and SIGTERM as a request to stop after the step under way; a second one ends the process at once.

Ending at once is harmless: files are renamed into place only when they are whole.
"""

import os
import signal
import threading
from types import FrameType

EXIT_BASE = 128  # the exit status of a process that a signal ended, by convention


class StopRequest:
    """A context manager; while it is active, signals set `signal_number` instead of raising."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __enter__(self) -> "StopRequest":
        self._previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self.signal_number is not None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_number is not None:
            os._exit(EXIT_BASE + number)
        self.signal_number = number
