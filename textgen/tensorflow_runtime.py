"""Importing TensorFlow without the dozen lines it prints on standard error.

NOTE: some of these lines are written by C++ before any log level counts, so file descriptor 2 itself is turned into a
temporary file for the time of the import. If the import fails, what was hidden is shown.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from textgen.errors import TextgenError


def quiet_import() -> None:
    """Import TensorFlow; raises TextgenError, after showing what it printed, when it cannot be imported."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with hidden_stderr():
            import tensorflow as tf  # noqa: PLC0415

            tf.get_logger().setLevel("ERROR")
            tf.config.list_logical_devices()  # the drivers print too, when they are first asked
    except Exception as problem:
        raise TextgenError(f"TensorFlow cannot be imported: {problem}. See: textgen doctor") from problem


@contextlib.contextmanager
def hidden_stderr() -> Iterator[None]:
    """Hide what the process, C++ code included, writes on standard error; show it after all if the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            hidden.seek(0)
            os.write(2, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
