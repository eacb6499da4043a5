"""How many cores there are, and that a run computes for those that it began with, whatever there are later."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import trace_plainly
from driven_runs import left_by
from plans import plan_of, resumed_plan, run_plan
from watching import Watcher, crash

from textgen import cores
from textgen.model.devices import Device
from textgen.store import manifest, model_directory
from textgen.training.learner import Learner


def there_are(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)


def begin_a_run(corpus, models_dir) -> None:
    """It crashes after its second step, which is in a checkpoint; nothing is compiled."""
    plan = plan_of(corpus, models_dir, batch_size=16, steps=4, checkpoint_every=2)
    with pytest.MonkeyPatch.context() as patch:
        trace_plainly(patch)
        with pytest.raises(RuntimeError):
            run_plan(plan, Watcher({2: crash}))


def test_only_cores_count_that_this_process_may_use(monkeypatch):
    for count, expected in ((1, 1), (4, 4), (5000, cores.MOST_CORES)):
        there_are(count, monkeypatch)
        assert cores.available_cores() == expected


def test_where_the_system_does_not_say_what_it_may_use_all_cores_count(monkeypatch):
    monkeypatch.delattr(cores.os, "sched_getaffinity", raising=False)
    for count, expected in ((None, 1), (1, 1), (4, 4)):
        monkeypatch.setattr(cores.os, "cpu_count", lambda count=count: count)
        assert cores.available_cores() == expected


@pytest.mark.parametrize(
    ("caches", "expected"),
    [
        ({"index0": ("1", "48K"), "index1": ("2", "1024K")}, 1 << 20),
        ({"index2": ("2", "2M"), "index3": ("3", "32M")}, 2 << 20),
        ({"index2": ("2", "4096")}, 4096),
        ({"index2": ("2", "much"), "index3": ("3", "32M")}, 0),
        ({"index2": ("2", "")}, 0),
        ({}, 0),
    ],
)
def test_the_second_level_cache_is_what_the_system_says_it_is(caches, expected, tmp_path, monkeypatch):
    for name, (level, size) in caches.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "level").write_text(level + "\n")
        (tmp_path / name / "size").write_text(size + "\n")
    (tmp_path / "index9").mkdir()  # that does not say anything
    monkeypatch.setattr(cores, "CACHES", tmp_path)
    assert cores.second_level_cache.__wrapped__() == expected


@pytest.mark.parametrize(("begun", "resumed"), [(1, 2), (2, 1)])
def test_a_run_computes_for_the_cores_that_it_began_with(begun, resumed, corpus, tmp_path, monkeypatch):
    there_are(begun, monkeypatch)
    begin_a_run(corpus, tmp_path)
    there_are(resumed, monkeypatch)
    plan = resumed_plan(tmp_path)
    monkeypatch.setattr("textgen.training.learner.choose_device", lambda cell: Device("CPU", False, "said by the test"))
    monkeypatch.setattr("textgen.training.validation.WARM_UP", 16)  # so that there are enough streams
    learner = Learner(plan)
    assert plan.training.cores == begun == learner.step.num_shards == learner.validate_fully.num_shards
    said = f"this run began on {begun} core{'s' * (begun > 1)} and goes on as there, which keeps its bytes"
    assert [note.partition(";")[0] for note in plan.notes] == [said]
    there_are(begun, monkeypatch)
    assert resumed_plan(tmp_path).notes == ()


def test_a_run_of_an_older_version_goes_on_with_the_cores_there_are_and_says_so(corpus, tmp_path, monkeypatch):
    begin_a_run(corpus, tmp_path)
    for path in (tmp_path / "novel").rglob(model_directory.CONFIG):
        config = json.loads(path.read_text())
        del config["training"]["cores"]
        path.write_text(json.dumps(config))
        manifest.seal(path.parent, model_directory.CHECKPOINT_FILES)
    there_are(2, monkeypatch)
    plan = resumed_plan(tmp_path)
    assert plan.training.cores is None
    line = "this run has not kept on how many cores it began; it goes on with 2 cores, which may change its bytes"
    assert plan.notes == (line,)


@pytest.mark.slow  # by default the two below stand for it
def test_tensorflow_has_as_many_threads_as_were_asked_for_unless_it_has_started():
    script = """
from textgen.tensorflow_runtime import num_threads, quiet_import
quiet_import(threads=3)
print(num_threads())
quiet_import(threads=5)
print(num_threads())
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True).split() == ["3", "3"]


def test_tensorflow_is_asked_for_the_threads_of_the_run_and_may_have_started(
    corpus, tmp_path, without_xla, monkeypatch
):
    asked = []

    def refuse(count):
        asked.append(count)
        raise RuntimeError("cannot be modified after initialization")

    monkeypatch.setattr("tensorflow.config.threading.set_intra_op_parallelism_threads", refuse)
    run_plan(plan_of(corpus, tmp_path, steps=1, cores=3))
    assert asked == [3]


def test_a_program_that_has_started_tensorflow_otherwise_is_told(corpus, tmp_path, without_xla, monkeypatch):
    monkeypatch.setattr("textgen.training.run.num_threads", lambda: 7)
    watcher = Watcher()
    run_plan(plan_of(corpus, tmp_path, steps=1, cores=3), watcher)
    assert [line for line in watcher.notes if "7 threads in this process, and this run is for 3 cores" in line]


# ---- bytes

RUN = """
import os, signal, sys
os.sched_setaffinity(0, set(map(int, sys.argv[1])))
if sys.argv[2] == "killed":
    from textgen.training import trainer
    advance = trainer.Trainer._advance
    def advance_or_die(self):
        if self.progress.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        advance(self)
    trainer.Trainer._advance = advance_or_die
from textgen.cli import main
main(sys.argv[3:])
"""


@pytest.mark.slow
@pytest.mark.skipif(cores.available_cores() < 2, reason="needs two cores")
@pytest.mark.parametrize(("first", "then"), [("0", "01"), ("01", "0")])
def test_a_run_that_goes_on_with_other_cores_ends_with_the_same_bytes(first, then, corpus, tmp_path):
    """Of this size TensorFlow shares out products among its threads, and not only shards."""

    def run(where: str, how: str, *arguments: str) -> int:
        environment = os.environ | {"TEXTGEN_CACHE_DIR": str(tmp_path / "cache")}
        return subprocess.run(
            [sys.executable, "-c", RUN, where, how, *arguments], env=environment, check=False
        ).returncode

    settings = ["--init-from", "none", "--units", "512", "--batch-size", "16"]
    settings += ["--steps", "5", "--checkpoint-every", "2", "--sample-every", "5"]
    for name, how in (("whole", "whole"), ("resumed", "killed")):
        options = ["--name", name, "--models-dir", str(tmp_path / "models")]
        status = run(first, how, "train", str(corpus), *settings, *options)
        assert status == (-signal.SIGKILL if how == "killed" else 0)
    assert run(then, "whole", "train", "--resume", *options) == 0
    assert left_by(tmp_path / "models" / "resumed") == left_by(tmp_path / "models" / "whole")
