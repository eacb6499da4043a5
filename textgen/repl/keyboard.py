"""What the terminal does with keys while nobody asks for a line.

Keys that are typed while text is written are not echoed: they wait in the terminal and appear in the next line.
"""

import contextlib
import sys
from collections.abc import Iterator


def is_typed() -> bool:
    """Whether a person types the lines."""
    return sys.stdin is not None and sys.stdin.isatty()


def is_terminal() -> bool:
    """Whether a person types the lines and reads the text."""
    return is_typed() and sys.stdout.isatty()


def quiet_keyboard() -> contextlib.AbstractContextManager[None]:
    """Keep keys, and the ^C of Ctrl-C, out of text that is being written. The prompt shows them."""
    return _echo(is_on=False) if is_terminal() else contextlib.nullcontext()


def loud_keyboard() -> contextlib.AbstractContextManager[None]:
    """Let the terminal show keys, as another program expects it."""
    return _echo(is_on=True) if is_typed() else contextlib.nullcontext()


@contextlib.contextmanager
def _echo(*, is_on: bool) -> Iterator[None]:
    try:
        import termios  # noqa: PLC0415  (not on Windows)
    except ImportError:
        yield
        return
    keyboard = sys.stdin.fileno()
    as_found = termios.tcgetattr(keyboard)
    changed, echo = list(as_found), termios.ECHO | termios.ECHOCTL
    changed[3] = changed[3] | echo if is_on else changed[3] & ~echo
    termios.tcsetattr(keyboard, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, as_found)
