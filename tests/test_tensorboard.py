"""Event files for TensorBoard, read back by TensorFlow."""

import dataclasses
import errno
from pathlib import Path

import pytest
import tensorflow as tf
from screens import shown_plan
from test_terminal import ROW, result_of

from textgen.errors import ModelError
from textgen.store.checkpoints import Checkpoint
from textgen.training.tensorboard import EventFiles


def events_in(directory: Path) -> list[tuple[str, int, object]]:
    """Tag, step and value of all that was written, in the order of the files."""
    found = []
    for path in sorted(directory.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.append((value.tag, event.step, tf.make_ndarray(value.tensor)))
    return found


def write_run(directory: Path, rows, plan=None, first_step: int = 0) -> list[str]:
    notes: list[str] = []
    files = EventFiles(directory, notes.append)
    files.started(plan or shown_plan(), first_step, None)
    for row in rows:
        files.stepped(row.step, row.epoch, row.train_loss, 1000.0)
        files.evaluated(row, True)
    files.finished(result_of())
    return notes


def test_the_figures_of_a_run_are_read_back_with_their_steps(tmp_path):
    rows = [ROW, dataclasses.replace(ROW, step=2400, validation_loss=None, bits_per_character=None, sample="a\n b")]
    assert write_run(tmp_path / "a" / "b", rows) == []
    found = events_in(tmp_path / "a" / "b")
    numbers = [(tag, step, pytest.approx(float(value), rel=1e-6)) for tag, step, value in found if tag != "sample"]
    both = [
        [("loss/step", row.step, row.train_loss), ("loss/training", row.step, row.train_loss)]
        + [("loss/validation", row.step, 1.7123), ("bits_per_character", row.step, 2.4703)] * (row is ROW)
        + [("learning_rate", row.step, 0.006), ("tokens_per_second", row.step, 30_000.0), ("epoch", row.step, 2.5)]
        for row in rows
    ]
    assert both[0] + both[1] == numbers
    samples = [(step, value.item().decode()) for tag, step, value in found if tag == "sample"]
    assert samples == [(1200, "    It was the best\n      of times\n"), (2400, "    a\n     b\n")]


def test_a_run_that_goes_on_adds_to_its_files_and_begins_at_the_beginning_where_there_are_none(tmp_path):
    plan = shown_plan()
    plan = dataclasses.replace(plan, begins=Checkpoint(None, None, None, (ROW,), {}, {}))
    later = dataclasses.replace(ROW, step=2400)
    write_run(tmp_path / "both", [ROW])
    write_run(tmp_path / "both", [later], plan, 1200)
    write_run(tmp_path / "late", [later], plan, 1200)
    for name in ("both", "late"):
        assert [step for tag, step, _ in events_in(tmp_path / name) if tag == "loss/validation"] == [1200, 2400], name


def test_a_long_run_writes_the_losses_of_some_steps(tmp_path):
    files = EventFiles(tmp_path, print)
    files.started(dataclasses.replace(shown_plan(), total_steps=200_000), 0, None)
    for step in range(1, 1001):
        files.stepped(step, 0.1, 2.0, 1000.0)
    files.close()
    assert len(events_in(tmp_path)) == 10


@pytest.mark.parametrize("where", ["file", "file/below", "x" * 300, "nul\0"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_begins(tmp_path, where):
    (tmp_path / "file").write_text("a letter")
    with pytest.raises(ModelError, match="cannot write event files in "):
        EventFiles(tmp_path / where, print)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_check_leaves_nothing_behind(tmp_path):
    EventFiles(tmp_path / "new" / "one", print)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_later_costs_a_note_and_no_run(tmp_path, monkeypatch):
    class Full:
        def as_default(self):
            raise tf.errors.ResourceExhaustedError(None, None, "{{node}} x.v2; No space left on device\n\tmore")

    monkeypatch.setattr(tf.summary, "create_file_writer", lambda path: Full())
    assert write_run(tmp_path, [ROW, ROW]) == [
        f"no more is written for TensorBoard in {tmp_path}: No space left on device. The run goes on"
    ]

    def vanished(path):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tf.summary, "create_file_writer", vanished)
    assert write_run(tmp_path, [ROW, ROW]) == [
        f"no more is written for TensorBoard in {tmp_path}: Permission denied. The run goes on"
    ]
