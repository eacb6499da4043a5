"""What `textgen train` is asked for, checked before anything is computed or written."""

import dataclasses
import os
from pathlib import Path

import pytest
from conftest import make_stored_model, write_stored_model

from textgen import model_store
from textgen.config import LEVEL_DEFAULTS, TextConfig, TrainingConfig
from textgen.errors import CorpusError, ModelError, SettingError, TextgenError, TokenizerError
from textgen.model import negatives
from textgen.training.checkpoints import Checkpoint, Progress, save_checkpoint
from textgen.training.request import new_plan, resumed_plan, settings_of

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


# ---- settings


def test_nothing_given_is_every_default():
    assert settings_of({}) == (TextConfig(), {}, TrainingConfig())


def test_each_setting_goes_where_it_belongs():
    text, shape, training = settings_of({"documents": "line", "units": 3, "dropout": 0.5, "seed": 7})
    assert (text, shape, training) == (TextConfig(documents="line"), {"units": 3}, TrainingConfig(dropout=0.5, seed=7))


def test_the_level_has_defaults_of_its_own_and_what_is_given_overrules_them():
    text, shape, training = settings_of({"level": "word", "units": 99, "dropout": 0.0, "tied": False})
    assert text == TextConfig(level="word")
    assert shape == {"units": 99, "tied": False, "embedding_size": LEVEL_DEFAULTS["word"]["embedding_size"]}
    assert training == TrainingConfig(dropout=0.0)


def test_settings_are_not_remembered_from_one_call_to_the_next():
    settings_of({"level": "word", "units": 99})
    assert settings_of({"level": "word"})[1]["units"] == LEVEL_DEFAULTS["word"]["units"]


@pytest.mark.parametrize("budget", [{"epochs": 3.0}, {"steps": 7}])
def test_epochs_or_steps_take_the_place_of_minutes(budget):
    assert settings_of(budget)[2] == TrainingConfig(**{"minutes": None} | budget)


def test_two_budgets_are_refused():
    for budgets in ({"epochs": 3.0, "minutes": 2.0}, {"epochs": 3.0, "steps": 7}):
        with pytest.raises(SettingError, match="exactly one budget"):
            settings_of(budgets)


@pytest.mark.parametrize("name", ["unit", "vocabulary", "prompt", "temperature"])
def test_a_setting_that_does_not_exist_is_answered_with_those_that_do(name):
    with pytest.raises(SettingError) as caught:
        settings_of({name: 1})
    message = str(caught.value)
    assert message.startswith(f"unknown setting {name!r}. There are: ")
    assert {"units", "dropout", "level", "column"} <= set(message.split(": ")[1].split(", "))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": "syllable"}, "--level must be one of char, word. Received: 'syllable'"),
        ({"level": None}, "--level must be text. Received: None"),
        ({"level": ["word"]}, "--level must be text"),
        ({"vocabulary_size": 500}, "--vocabulary-size is for --level word"),
        ({"level": "word", "vocabulary_size": 0}, "--vocabulary-size must be at least 1"),
        ({"steps": 0}, "--steps must be at least 1"),
        ({"column": "name", "documents": "line"}, "--column makes every row a document"),
    ],
)
def test_settings_out_of_range_are_wrong_usage(given, message):
    with pytest.raises(SettingError) as caught:
        settings_of(given)
    assert message in str(caught.value)


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


# ---- words and documents

WORDS = TextConfig(level="word", vocabulary_size=17)
LINES = TextConfig(documents="line")


def test_a_plan_of_words_has_the_words_of_the_text():
    plan = plan_of(text=WORDS, shape={"tied": True})
    assert plan.tokenizer.level == plan.text.level == "word"
    assert [*plan.tokenizer.words] == [" cat", " mat", " on", " sat", " the"]  # all equally often, as "the" is
    assert plan.model.tied
    assert plan.model.vocabulary_size == len(set(TEXT)) + 5 == 17
    assert plan.tokenizer.decode(plan.train_ids) + plan.tokenizer.decode(plan.validation_ids) == TEXT
    assert len(plan.train_ids) < len(TEXT) / 2
    assert (plan.corpus.characters, plan.corpus.documents) == (len(TEXT), 0)


def test_tokens_per_character_are_those_of_the_validation_part():
    """Two lines of 24 characters each: "the" spelled, five words, a full stop and a newline, ten tokens."""
    Path("novel.txt").write_text(TEXT[:-48] + "the cat sat on the mat.\n" * 2)
    plan = plan_of(text=WORDS, training=TRAINING.replace(val_fraction=0.05))
    assert len(plan.validation_ids) == 2 * 10
    assert plan.tokens_per_character() == pytest.approx(20 / 48)
    assert plan_of().tokens_per_character() == 1


def test_a_plan_of_documents_takes_whole_ones_for_validation():
    names = [f"name {first}{second}" for first in "abcdefghij" for second in "klmnopqrst"]
    Path("names.txt").write_text("\n".join(names))
    plan = plan_of("names.txt", text=LINES)
    assert plan.corpus.documents == plan.prepared.num_documents == 100
    assert plan.prepared.num_validation_documents == 10
    assert plan.corpus.characters == sum(map(len, names))
    eod = plan.tokenizer.eod_id
    assert eod == plan.model.vocabulary_size - 1
    parts = [documents_of(ids, plan.tokenizer) for ids in (plan.train_ids, plan.validation_ids)]
    assert sorted(parts[0] + parts[1]) == names
    assert [name for name in names if name in parts[0]] == parts[0]  # the order is kept
    assert plan.tokens_per_character() == 1  # the end of a document counts as a character
    other = plan_of("names.txt", text=LINES, training=TRAINING.replace(seed=1))
    assert documents_of(other.validation_ids, other.tokenizer) != parts[1]


def documents_of(ids, tokenizer) -> list[str]:
    spelled = "".join("|" if i == tokenizer.eod_id else tokenizer.pieces[i] for i in ids)
    return spelled.removesuffix("|").split("|")


def test_a_column_of_a_table_gives_the_documents():
    rows = [f'{n},"cat {n}, sat\non {n}"' for n in range(40)]
    Path("cats.csv").write_text("\n".join(["id,text", *rows]))
    plan = plan_of("cats.csv", text=TextConfig(column="text"))
    assert plan.corpus.documents == 40
    parts = [documents_of(ids, plan.tokenizer) for ids in (plan.train_ids, plan.validation_ids)]
    assert sorted(parts[0] + parts[1]) == sorted(f"cat {n}, sat\non {n}" for n in range(40))


def test_a_normalising_plan_learns_from_the_normal_form():
    plan = plan_of(text=TextConfig(normalize="casefold"))
    assert plan.tokenizer.normalize == "casefold"
    Path("loud.txt").write_text(TEXT.upper())
    assert plan_of("loud.txt", text=TextConfig(normalize="casefold")).train_ids.tobytes() == plan.train_ids.tobytes()


@pytest.mark.parametrize(
    ("given", "most_scored", "settled"),
    [(None, 12, 0), (None, 11, negatives.NUM_SAMPLED), (0, 11, 0), (5, 12, 5), (12, 11, 0)],
)
def test_a_large_vocabulary_is_sampled_unless_said_otherwise(monkeypatch, given, most_scored, settled):
    monkeypatch.setattr(negatives, "MOST_SCORED", most_scored)  # the text has 12 ids
    assert plan_of(training=TRAINING.replace(num_sampled=given)).training.num_sampled == settled


@pytest.mark.parametrize(("size", "said"), [(12, "too small"), (5_000, "is more than the text has")])
def test_a_vocabulary_size_that_the_text_cannot_have_is_refused_with_one_that_it_can(folder, size, said):
    before = everything_in(folder)
    with pytest.raises(TokenizerError, match=said):
        plan_of(text=WORDS.replace(vocabulary_size=size))
    assert everything_in(folder) == before


def test_the_caller_hears_of_every_pass_over_the_text():
    heard = []
    Path("fresh.txt").write_text(TEXT + "quite fresh")
    plan_of("fresh.txt", progress=lambda stage, done, total: heard.append((stage, done, total)))
    stages = list(dict.fromkeys(stage for stage, _, _ in heard))
    assert stages == ["checking", "reading", "encoding"]
    size = Path("fresh.txt").stat().st_size
    assert all(done <= total == size for _, done, total in heard)


@pytest.mark.parametrize("text", [WORDS, LINES, TextConfig(normalize="casefold")])
def test_a_run_of_any_kind_of_text_is_resumed_as_it_was_planned(text):
    if text == LINES:
        Path("novel.txt").write_text("".join(f"the cat {n} sat\n" for n in range(60)))
    plan = plan_of(text=text, shape={"units": 12, "embedding_size": 8})
    tiny = make_stored_model(tokenizer=plan.tokenizer)
    record = dataclasses.replace(tiny.record, text=plan.text, training=plan.training, corpus=plan.corpus)
    save_checkpoint(
        plan.path, Checkpoint(record, plan.tokenizer, Progress(step=3, total_steps=7), (), tiny.weights, {})
    )
    resumed, _, _ = resumed_plan("novel", Path("models"))
    assert (resumed.text, resumed.training, resumed.model) == (plan.text, plan.training, plan.model)
    assert resumed.corpus == plan.corpus
    assert resumed.tokenizer.to_json() == plan.tokenizer.to_json()
    assert resumed.train_ids.tobytes() == plan.train_ids.tobytes()
    assert resumed.validation_ids.tobytes() == plan.validation_ids.tobytes()
    Path("novel.txt").write_text(Path("novel.txt").read_text().replace("cat", "dog", 1))
    with pytest.raises(CorpusError, match="is not the one this run began with"):
        resumed_plan("novel", Path("models"))


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
