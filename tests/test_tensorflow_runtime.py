"""TensorFlow is imported quietly, and Keras with it, whatever the environment says. Real processes, real errors."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from textgen import tensorflow_runtime
from textgen.errors import TextgenError

OTHER_BACKEND = {"KERAS_BACKEND": "jax"}


def run_python(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """`script` in a process of its own, without the variables that textgen sets for TensorFlow."""
    left_out = ("TF_CPP_MIN_LOG_LEVEL", *tensorflow_runtime.SETTINGS, *OTHER_BACKEND)
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=False)


def run_textgen(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return run_python("import sys; from textgen.cli import main; main(sys.argv[1:])", *arguments, **environment)


def test_a_model_with_the_tensorflow_engine_prints_nothing_on_standard_error(models_dir):
    script = "import sys, textgen; print(textgen.load(sys.argv[1], engine='tensorflow').generate('a', length=9))"
    done = run_python(script, str(models_dir / "tiny"))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) == 10


FAULTS = """
import resource, textgen.tensorflow_runtime
textgen.tensorflow_runtime.quiet_import(with_keras=False)
import tensorflow as tf
fill = tf.function(lambda x: tf.reduce_sum(tf.fill([2**24], x) + x))
fill(tf.constant(1.0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for x in tf.constant([2.0, 3.0, 4.0, 5.0]):
    fill(x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
COUNTS_SMALL_PAGES = sys.platform == "linux" and not (HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text())


@pytest.mark.skipif(not COUNTS_SMALL_PAGES, reason="counts pages of 4 KiB, as Linux has them")
def test_memory_that_a_step_has_had_is_kept_for_the_next():
    """64 MiB are 16,384 pages, which the system fills with zeros where they are asked for anew.

    NOTE: on some machines TensorFlow keeps memory without being asked to, so that there this cannot fail.
    """
    assert int(run_python(FAULTS).stdout) < 4096


@pytest.mark.parametrize(
    ("name", "expected", "other"),
    [
        ("TF_CPU_ALLOCATOR_USE_BFC", "true", "false"),
        ("XLA_FLAGS", "--xla_cpu_prefer_vector_width=512", "--xla_cpu_prefer_vector_width=256"),
    ],
)
def test_tensorflow_is_told_what_makes_it_fast_unless_the_user_has_said_otherwise(name, expected, other):
    told = "import os, textgen.tensorflow_runtime as runtime; runtime.quiet_import(with_keras=False)\n"
    told += "import tensorflow as tf; tf.function(lambda x: x + 1, jit_compile=True)(1)\n"  # reads the flags
    told += f"print(os.environ[{name!r}])"
    for environment in ({}, {name: other}):
        result = run_python(told, **environment)
        assert (result.returncode, result.stdout) == (0, f"{environment.get(name, expected)}\n")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "tale.txt"
    path.write_text("the ferryman kept the river. " * 40)
    return str(path)


def test_training_takes_no_notice_of_another_keras_backend(models_dir, corpus):
    arguments = ["--steps", "2", "--units", "8", "--models-dir", str(models_dir)]
    done = run_textgen("train", corpus, *arguments, **OTHER_BACKEND)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_sampling_takes_no_notice_of_another_keras_backend(models_dir):
    arguments = ["sample", "tiny", "-n", "9", "--models-dir", str(models_dir)]
    done = run_textgen(*arguments, "--engine", "tensorflow", **OTHER_BACKEND)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run_textgen(*arguments).stdout


@pytest.mark.slow  # by default training and sampling stand for it
def test_exporting_takes_no_notice_of_another_keras_backend(models_dir, tmp_path):
    output = str(tmp_path / "exported")
    done = run_textgen("export", "tiny", "--output", output, "--models-dir", str(models_dir), **OTHER_BACKEND)
    assert (done.returncode, done.stdout) == (0, f"{output}\n"), done.stderr
    assert "the same text as the NumPy engine" in done.stderr.splitlines()[-1]


def test_doctor_takes_no_notice_of_another_keras_backend(models_dir):
    done = run_textgen("doctor", "--json", "--models-dir", str(models_dir), **OTHER_BACKEND)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CPU" in json.loads(done.stdout)["tensorflow"]["devices"]


# Stands for a program that uses Keras with jax, and textgen.
WITH_OTHER_KERAS = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "jax"))
from textgen.tensorflow_runtime import quiet_import
from textgen.cli import main
"""


def test_a_program_that_has_imported_keras_with_another_backend_is_told_in_one_line(corpus, models_dir):
    script = WITH_OTHER_KERAS + "main(sys.argv[1:])"
    done = run_python(script, "train", corpus, "--steps", "2", "--models-dir", str(models_dir))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "textgen: textgen needs Keras with TensorFlow, and this program has imported it with jax. "
        "Set KERAS_BACKEND=tensorflow before Keras is imported"
    )
    assert "Traceback" not in done.stderr


def test_such_a_program_may_import_tensorflow_for_what_needs_no_keras():
    done = run_python(WITH_OTHER_KERAS + "quiet_import(with_keras=False); print('tensorflow' in sys.modules)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_tensorflow_that_cannot_be_imported_is_one_line(models_dir):
    script = "import sys; sys.modules['tensorflow'] = None; from textgen.cli import main; main(sys.argv[1:])"
    arguments = ["sample", "tiny", "--engine", "tensorflow", "--models-dir", str(models_dir)]
    done = run_python(script, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("textgen: TensorFlow cannot be imported: ")
    assert done.stderr.endswith("See: textgen doctor\n")


# A program that uses TensorFlow itself, in whichever way, and then forks.
FORKS = """
import os, signal, sys
import tensorflow as tf
{use}
process = os.fork()
if process == 0:
    signal.alarm(60)  # a child that waits for threads it has not would wait for ever
    import textgen
    try:
        textgen.train(sys.argv[1], models_dir=sys.argv[2], steps=2, units=8, init_from="none", batch_size=2)
        print("trained", flush=True)
    except textgen.TextgenError as problem:
        print(problem, flush=True)
    os._exit(0)
print(os.waitpid(process, 0)[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("pass", "trained\n0\n"),
        ("tf.config.list_logical_devices()", "multiprocessing.get_context"),
        ("tf.function(lambda: tf.constant(1) + 1)()", "multiprocessing.get_context"),
        ("import textgen; from textgen.tensorflow_runtime import quiet_import; quiet_import()", "get_context"),
    ],
)
def test_a_process_that_was_forked_trains_unless_tensorflow_was_used_before(corpus, models_dir, use, said):
    done = run_python(FORKS.format(use=use), corpus, str(models_dir))
    assert said in done.stdout, done.stderr
    assert done.stdout.endswith("\n0\n")


def test_in_a_forked_process_only_one_that_had_used_tensorflow_matters(monkeypatch):
    """Without textgen it is noticed that threads are missing; with it, that another process used TensorFlow."""
    monkeypatch.setattr(tensorflow_runtime, "_used_in", None)
    monkeypatch.setattr(tensorflow_runtime, "_has_no_threads", lambda: True)
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager.context", SimpleNamespace(_context=None))
    tensorflow_runtime.check_not_forked()
    used = SimpleNamespace(_context=SimpleNamespace(_initialized=True))
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager.context", used)
    with pytest.raises(TextgenError, match="was forked"):
        tensorflow_runtime.check_not_forked()
    monkeypatch.setattr(tensorflow_runtime, "_has_no_threads", lambda: False)
    tensorflow_runtime.check_not_forked()
    monkeypatch.setattr(tensorflow_runtime, "_used_in", os.getpid())
    tensorflow_runtime.check_not_forked()
    monkeypatch.setattr(tensorflow_runtime, "_used_in", os.getppid())
    with pytest.raises(TextgenError, match="was forked"):
        tensorflow_runtime.check_not_forked()
