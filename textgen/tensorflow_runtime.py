"""Importing TensorFlow without the dozen lines that it prints on standard error, where it can work.

NOTE: C++ code writes some of these lines before any log level counts, so file descriptor 2 itself becomes a temporary
file for the time of the import. If the import fails, what was hidden is shown.

NOTE: TensorFlow is asked to keep the memory that it has had. Else every step gives its arrays back to the system and
gets them again as new pages, which have to be filled with zeros. At 256 units that was a sixth of a step.

NOTE: XLA is told to use vectors of 512 bits, where it would take 256 on a processor that has both. Steps of 128 and 256
units and of `english` took 2 to 4 % less time.

NOTE: a process that was forked has none of its parent's threads. Where the parent had used TensorFlow, every operation
of the child waits for ever for the threads that were to carry it out.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from textgen.cores import available_cores
from textgen.errors import TextgenError

SETTINGS = {"TF_CPU_ALLOCATOR_USE_BFC": "true", "XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"}  # variables
THREADS = "/proc/self/task"  # of this process, those of C++ code too; Linux alone has it
_stderr: int | None = None  # standard error, while it is hidden
_used_in: int | None = None  # the process that used TensorFlow through textgen: this one, or one it was forked from


def quiet_import(*, with_keras: bool = True, threads: int | None = None, starts: bool = True) -> None:
    """Import TensorFlow, and Keras on top of it, whatever backend KERAS_BACKEND names.

    Args:
        with_keras: False where Keras is not used. The program may then use it with another backend.
        threads: among which an operation is shared out, unless TensorFlow has started before; None is one a core.
        starts: False leaves TensorFlow as it is before it has started, to be connected with other processes.

    Raises:
        TextgenError: TensorFlow cannot be imported, or cannot work since this process was forked; or Keras was imported
            before, with another backend.
    """
    global _used_in
    check_not_forked()
    imported = sys.modules.get("keras")
    if with_keras and imported and (backend := imported.config.backend()) != "tensorflow":
        raise TextgenError(
            f"textgen needs Keras with TensorFlow, and this program has imported it with {backend}. "
            "Set KERAS_BACKEND=tensorflow before Keras is imported"
        )
    for name, value in SETTINGS.items():  # which are read when TensorFlow first works
        os.environ.setdefault(name, value)
    if sys.modules.get("tensorflow") and (imported or not with_keras):
        _use_threads(threads)
        _used_in = os.getpid()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if starts else "3")  # else of a worker that ends, too
    if with_keras:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        with hidden_stderr():
            import tensorflow as tf  # noqa: PLC0415

            tf.get_logger().setLevel("ERROR")
            _use_threads(threads)
            if starts:
                tf.config.list_logical_devices()  # the drivers print too, when they are first asked
            if with_keras:
                import keras  # noqa: F401, PLC0415
    except Exception as problem:
        raise TextgenError(f"TensorFlow cannot be imported: {problem}. See: textgen doctor") from problem
    _used_in = os.getpid()


def _use_threads(count: int | None) -> None:
    import tensorflow as tf  # noqa: PLC0415

    if count is not None:
        with contextlib.suppress(RuntimeError):  # it has started
            tf.config.threading.set_intra_op_parallelism_threads(count)


def num_threads() -> int:
    """Among how many threads TensorFlow, once it is imported, shares out an operation."""
    import tensorflow as tf  # noqa: PLC0415

    return tf.config.threading.get_intra_op_parallelism_threads() or available_cores()


def check_not_forked() -> None:
    """Raise TextgenError in a process that was forked from one that had used TensorFlow, by textgen or without it."""
    if _used_in not in (None, os.getpid()) or (_is_initialized() and _has_no_threads()):
        raise TextgenError(
            "this process was forked from one that had used TensorFlow, which would wait here for ever. Start "
            'processes with multiprocessing.get_context("spawn"), or before anything is trained'
        )


def _is_initialized() -> bool:
    """Whether TensorFlow has started its threads, in this process or in one that it was forked from."""
    eager = sys.modules.get("tensorflow.python.eager.context")
    return bool(getattr(getattr(eager, "_context", None), "_initialized", False))


def _has_no_threads() -> bool:
    """Whether no thread of this process is other than Python's; False where nobody can tell."""
    try:
        return len(os.listdir(THREADS)) <= len(sys._current_frames())
    except OSError:
        return False


@contextlib.contextmanager
def hidden_stderr() -> Iterator[None]:
    """Hide what the process, C++ code included, writes on standard error. Show it after all if the block fails."""
    global _stderr
    sys.stderr.flush()
    _stderr = saved = os.dup(2)
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
            _stderr = None
            os.dup2(saved, 2)
            os.close(saved)


def show_stderr() -> None:
    """Let the last words of a process be seen that ends at once, though another thread hides what it says."""
    with contextlib.suppress(OSError):  # that thread has just shown it
        if _stderr is not None:
            os.dup2(_stderr, 2)
