"""What `textgen train` is asked for, checked before anything is computed or written."""

import dataclasses
import os
from pathlib import Path

import pytest
from conftest import make_stored_model, write_stored_model

from textgen import model_store
from textgen.config import TrainingConfig
from textgen.errors import CorpusError, ModelError, SettingError, TextgenError
from textgen.training.checkpoints import Checkpoint, Progress, save_checkpoint
from textgen.training.request import new_plan, resumed_plan

TEXT = "the cat sat on the mat.\n" * 40
TRAINING = TrainingConfig(minutes=None, steps=7, batch_size=2, sequence_length=8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a text."""
    monkeypatch.chdir(tmp_path)
    Path("novel.txt").write_text(TEXT)
    return tmp_path


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def plan_of(*sources: str, **settings):
    settings = {"models_dir": Path("models"), "training": TRAINING} | settings
    return new_plan(sources or ["novel.txt"], **settings)


def message_of(**settings) -> str:
    with pytest.raises(ModelError) as caught:
        plan_of(**settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def begin_run(step: int = 3) -> Path:
    """An unfinished run of `novel.txt`, stopped at `step`."""
    tiny = make_stored_model(symbols="".join(sorted(set(TEXT))))
    plan = plan_of(shape={"units": 12, "embedding_size": 8}, overwrite=True)
    record = dataclasses.replace(tiny.record, training=TRAINING, corpus=plan.corpus)
    progress = Progress(step=step, total_steps=7)
    save_checkpoint(plan.path, Checkpoint(record, plan.tokenizer, progress, (), tiny.weights, {}))
    return plan.path


# ---- a new run


def test_a_plan_holds_what_the_run_needs():
    plan = plan_of(shape={"units": 16, "cell": "gru"})
    assert (plan.name, plan.path) == ("novel", Path("models/novel"))
    assert (plan.model.units, plan.model.cell, plan.model.num_layers) == (16, "gru", 2)
    assert plan.model.vocabulary_size == plan.tokenizer.vocabulary_size == len(set(TEXT))
    assert plan.tokenizer.decode(plan.train_ids) + plan.tokenizer.decode(plan.validation_ids) == TEXT
    assert len(plan.validation_ids) == len(TEXT) // 10
    assert plan.total_steps == 7
    assert plan.corpus.characters == len(TEXT)
    assert plan.corpus.sources == (str(Path("novel.txt").absolute()),)


@pytest.mark.parametrize(
    ("budget", "steps"), [({"steps": 9}, 9), ({"epochs": 2}, 106), ({"epochs": 0.001}, 1), ({"minutes": 1.0}, None)]
)
def test_steps_and_epochs_are_settled_at_once_and_minutes_are_not(budget, steps):
    """864 tokens in two streams of (864 - 8) // 2 = 428, so 53 windows of 8 in an epoch."""
    training = TrainingConfig(**{"minutes": None, "batch_size": 2, "sequence_length": 8} | budget)
    assert plan_of(training=training).total_steps == steps


@pytest.mark.parametrize("models_dir", ["models", "far/away/models"])
def test_planning_creates_nothing(folder, models_dir):
    before = everything_in(folder)
    plan_of(models_dir=Path(models_dir))
    assert everything_in(folder) == before


def test_planning_leaves_other_models_alone(folder):
    write_stored_model(Path("models"), make_stored_model())
    before = everything_in(folder)
    plan_of()
    assert everything_in(folder) == before


def test_the_name_is_the_corpus_s_unless_one_is_given():
    assert plan_of().name == "novel"
    assert plan_of(name="other").path == Path("models/other")


@pytest.mark.parametrize("name", ["a/b", "../up", ".hidden", "-flag", "", " ", "a b", "é", "a\n", "x" * 101])
def test_a_name_that_is_no_folder_name_is_refused(name):
    if name == "":
        assert plan_of(name=name).name == "novel"
    else:
        assert "--name" in message_of(name=name)


def test_a_model_of_that_name_is_not_overwritten_by_accident(folder):
    write_stored_model(Path("models"), make_stored_model(), "novel")
    before = everything_in(folder)
    message = message_of()
    assert message == "models/novel exists. Use --overwrite or another --name"
    assert plan_of(overwrite=True).path == Path("models/novel")
    assert everything_in(folder) == before


def test_an_unfinished_run_of_that_name_is_named_as_such():
    begin_run()
    message = message_of()
    assert message == "models/novel exists and is not finished. --resume goes on with it, --overwrite starts anew"
    assert plan_of(overwrite=True).name == "novel"


@pytest.mark.parametrize("models_dir", ["models", "models/below"])
def test_a_models_directory_that_is_a_file_is_refused_before_anything_is_computed(models_dir, folder):
    Path("models").write_text("I am a file")
    before = everything_in(folder)
    assert message_of(models_dir=Path(models_dir)).startswith(f"cannot write models in {models_dir}: ")
    assert everything_in(folder) == before


def test_a_disk_that_takes_no_directory_is_said_so(monkeypatch):
    Path("models").mkdir()

    make = os.mkdir

    def full(path, *arguments, **options):
        if Path("models") in Path(path).parents:
            raise OSError(28, "No space left on device")
        make(path, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", full)
    assert message_of() == "cannot write models in models: No space left on device"


def test_a_text_that_is_too_short_for_a_batch_is_refused_with_advice():
    with pytest.raises(CorpusError, match=r"Lower --batch-size to \d+"):
        plan_of(training=TrainingConfig(batch_size=500, sequence_length=8))


def test_a_shape_outside_its_range_is_wrong_usage():
    with pytest.raises(SettingError, match="--units"):
        plan_of(shape={"units": 0})


# ---- a run to go on with


def test_resuming_gives_the_plan_of_the_run_and_its_checkpoint():
    begin_run()
    plan, checkpoint, problems = resumed_plan("novel", Path("models"))
    first = plan_of(name="again", shape={"units": 12, "embedding_size": 8})
    assert (plan.name, plan.path, plan.model, plan.training) == (
        "novel",
        Path("models/novel"),
        first.model,
        first.training,
    )
    assert plan.train_ids.tobytes() == first.train_ids.tobytes()
    assert plan.corpus == first.corpus
    assert (plan.total_steps, checkpoint.progress.step, problems) == (7, 3, [])


def test_without_a_name_the_run_of_the_given_text_is_resumed():
    begin_run()
    plan, _, _ = resumed_plan(None, Path("models"), ["novel.txt"])
    assert plan.path == Path("models/novel")


def test_resuming_reads_the_text_where_it_was_or_where_it_is_said_to_be():
    begin_run()
    Path("novel.txt").rename("moved.txt")
    with pytest.raises(CorpusError, match=r"novel\.txt"):
        resumed_plan("novel", Path("models"))
    plan, _, _ = resumed_plan("novel", Path("models"), ["moved.txt"])
    assert plan.tokenizer.decode(plan.train_ids) == TEXT[: len(plan.train_ids)]


def test_a_text_that_changed_is_refused():
    begin_run()
    Path("novel.txt").write_text(TEXT + "more")
    with pytest.raises(CorpusError, match=r"novel is not the one this run began with .* train a new model"):
        resumed_plan("novel", Path("models"))


def test_a_finished_model_is_not_resumed():
    write_stored_model(Path("models"), make_stored_model(), "novel")
    with pytest.raises(ModelError, match=r"is finished; there is nothing to resume\. Sample it: textgen sample novel"):
        resumed_plan("novel", Path("models"))


def test_a_name_that_is_not_there_is_answered_with_the_nearest():
    begin_run()
    with pytest.raises(ModelError, match="Did you mean novel"):
        resumed_plan("novle", Path("models"))


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used():
    begin_run(step=3)
    begin_run(step=5)
    newest = model_store.checkpoint_dirs(Path("models/novel"))[0]
    (newest / model_store.WEIGHTS).write_bytes(b"")
    _, checkpoint, problems = resumed_plan("novel", Path("models"))
    assert checkpoint.progress.step == 3
    assert len(problems) == 1
    assert "step-00000005 is damaged and not used" in problems[0]


def test_a_run_without_any_whole_checkpoint_cannot_be_resumed():
    path = begin_run()
    (model_store.checkpoint_dirs(path)[0] / model_store.MANIFEST).unlink()
    with pytest.raises(TextgenError, match="step-00000003 is damaged"):
        resumed_plan("novel", Path("models"))
