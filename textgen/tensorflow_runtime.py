"""Importing TensorFlow without the dozen lines that it prints on standard error.

NOTE: C++ code writes some of these lines before any log level counts, so file descriptor 2 itself becomes a temporary
file for the time of the import. If the import fails, what was hidden is shown.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from textgen.errors import TextgenError


def quiet_import(*, with_keras: bool = True) -> None:
    """Import TensorFlow, and Keras on top of it, whatever backend KERAS_BACKEND names.

    Args:
        with_keras: False where Keras is not used. The program may then use it with another backend.

    Raises:
        TextgenError: TensorFlow cannot be imported, or Keras was imported before, with another backend.
    """
    imported = sys.modules.get("keras")
    if with_keras and imported and (backend := imported.config.backend()) != "tensorflow":
        raise TextgenError(
            f"textgen needs Keras with TensorFlow, and this program has imported it with {backend}. "
            "Set KERAS_BACKEND=tensorflow before Keras is imported"
        )
    if sys.modules.get("tensorflow") and (imported or not with_keras):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if with_keras:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        with hidden_stderr():
            import tensorflow as tf  # noqa: PLC0415

            tf.get_logger().setLevel("ERROR")
            tf.config.list_logical_devices()  # the drivers print too, when they are first asked
            if with_keras:
                import keras  # noqa: F401, PLC0415
    except Exception as problem:
        raise TextgenError(f"TensorFlow cannot be imported: {problem}. See: textgen doctor") from problem


@contextlib.contextmanager
def hidden_stderr() -> Iterator[None]:
    """Hide what the process, C++ code included, writes on standard error. Show it after all if the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            hidden.seek(0)
            with contextlib.suppress(OSError):
                os.write(2, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
