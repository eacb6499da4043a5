"""The whole story in the writer's own editor."""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from textgen.errors import TextgenError
from textgen.generation.prompts import read_prompt
from textgen.messages import shown
from textgen.repl.keyboard import is_terminal, loud_keyboard
from textgen.repl.session import CommandError, Session

MAX_EDITED_BYTES = 16 * 2**20


def edit_story(session: Session, _argument: str) -> None:
    """Open the story in $VISUAL or $EDITOR, and go on with what was made of it."""
    named = (os.environ.get(name, "").strip() for name in ("VISUAL", "EDITOR"))
    command = next(filter(None, named), "")
    if not command:
        raise CommandError("no editor is named. Set $VISUAL or $EDITOR to one, as in EDITOR=nano")
    before = session.story.text
    edited = _edited(command, before, session)
    if session.rewrite(edited):
        session.say_where()
    else:
        session.notice("nothing was changed")


def _edited(command: str, text: str, session: Session) -> str:
    """What the editor makes of `text`. The file is in a directory that only its owner sees, and is removed."""
    ends_without_line = not text.endswith("\n")  # most editors end the last line
    try:
        with tempfile.TemporaryDirectory(prefix="textgen-", ignore_cleanup_errors=True) as directory:
            path = Path(directory, "story.txt")
            path.write_bytes(f"{text}\n".encode() if ends_without_line else text.encode())
            _run(command, path)
            edited = read_prompt(path, MAX_EDITED_BYTES, session.notice)
    except OSError as problem:
        raise CommandError(f"the story cannot be edited: {problem.strerror or problem}") from None
    except CommandError:
        raise
    except TextgenError as problem:
        raise CommandError(
            f"what was edited cannot be read: {str(problem).removesuffix('.')}. The story is as it was"
        ) from None
    return edited.removesuffix("\n") if ends_without_line else edited


def _run(command: str, path: Path) -> None:
    """Run the editor until it ends. Raises CommandError where it cannot be run or fails."""
    try:
        parts = shlex.split(command)
    except ValueError as problem:
        raise CommandError(f"the editor {shown(command, 60)} cannot be run: {problem}") from None
    # In a pipe the editor reads none of the lines that are for us, and writes nothing into the text.
    stream = None if is_terminal() else subprocess.DEVNULL
    with _ctrl_c_is_the_editors(), loud_keyboard():
        try:
            status = subprocess.run([*parts, str(path)], check=False, stdin=stream, stdout=stream).returncode
        except (OSError, ValueError) as problem:
            said = getattr(problem, "strerror", None) or problem
            raise CommandError(f"the editor {shown(command, 60)} cannot be run: {said}") from None
    if status:
        raise CommandError(f"the editor {shown(command, 60)} ended with status {status}. The story is as it was")


@contextlib.contextmanager
def _ctrl_c_is_the_editors() -> Iterator[None]:
    """Leave Ctrl-C to the editor. It is caught and not ignored, since children ignore what we do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
