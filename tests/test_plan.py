"""A request -> a plan: checked, with the text as token ids, before anything is computed or written."""

import dataclasses
import io
import itertools
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from conftest import make_stored_model, write_stored_model
from plans import everything_in, request_of, resumed_plan

from textgen import recipe
from textgen.corpus.remembered import remember
from textgen.errors import CorpusError, ModelError, SettingError, TextgenError, TokenizerError
from textgen.records import CorpusRecord, ParentRecord, Progress
from textgen.store import manifest, model_directory
from textgen.store.checkpoints import Checkpoint, save_checkpoint
from textgen.store.model_directory import StoredModel, load_model
from textgen.training.plan import Plan, Preparing, make_plan

TEXT = "the cat sat on the mat.\n" * 40
RATE = 100e9  # operations per second of the machine
STEPS = {"steps": 7, "batch_size": 2, "sequence_length": 8}
SHAPE = {"units": 12, "embedding_size": 8, "num_layers": 2, "tied": False, "skip": False}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a text, on a machine of known speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("textgen.training.plan.recurrent_rate", lambda: RATE)
    Path("novel.txt").write_text(TEXT)
    return tmp_path


def plan_of(*sources: str, progress: Preparing = lambda stage, done, total: None, **options) -> Plan:
    """Of `novel.txt`, unless it is of other sources; options are fields of Request, and settings."""
    models_dir = options.pop("models_dir", Path("models"))
    return make_plan(request_of(models_dir, *sources or ["novel.txt"], defaults=STEPS, **options), progress=progress)


def resumed(name: str | None = "novel", *sources: str) -> Plan:
    return resumed_plan(Path("models"), name, sources)


def message_of(**options) -> str:
    with pytest.raises(ModelError) as caught:
        plan_of(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def begin_run(step: int = 3) -> Path:
    """An unfinished run of `novel.txt`, stopped at `step`."""
    plan = plan_of(**SHAPE, overwrite=True)
    return begin(plan, make_stored_model(tokenizer=plan.tokenizer), step)


def begin(plan: Plan, model: StoredModel, step: int = 3) -> Path:
    remember(plan.corpus)
    record = dataclasses.replace(model.record, text=plan.text, training=plan.training, corpus=plan.corpus)
    progress = Progress(step=step, total_steps=7)
    checkpoint = Checkpoint(record, plan.tokenizer, progress, (), model.weights, {})
    save_checkpoint(plan.path, checkpoint, is_private=plan.is_private)
    return plan.path


# ---- a new run


@pytest.fixture
def open_folder():
    """A folder that every user can enter, with a text that every user can read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)
        text = Path(name, "novel.txt")
        text.write_text(TEXT)
        text.chmod(0o644)
        yield Path(name)


def test_a_model_is_for_its_owner_alone_unless_all_could_read_what_it_was_made_of(open_folder, monkeypatch):
    def mode_of(*sources: object, **options) -> int:
        plan = plan_of(*map(str, sources), models_dir=open_folder / "models", overwrite=True, **options)
        shutil.rmtree(plan.path, ignore_errors=True)
        model = options.get("init_from") and load_model(options["init_from"], open_folder / "models")
        begin(plan, model or make_stored_model(tokenizer=plan.tokenizer))
        mode = stat.S_IMODE(plan.path.stat().st_mode)
        for path in plan.path.rglob("*"):  # each of its files and directories, the checkpoint's too
            assert stat.S_IMODE(path.stat().st_mode) == mode & (0o777 if path.is_dir() else 0o666), path
        return mode

    before = os.umask(0o022)
    try:
        text = open_folder / "novel.txt"
        assert mode_of(text, name="old", **SHAPE) == mode_of("chronicles", level="char", **SHAPE) == 0o755
        assert mode_of(text, name="new", init_from="old") == 0o755
        os.chmod(open_folder / "models" / "old", 0o700)
        assert mode_of(text, name="new", init_from="old") == 0o700
        assert mode_of("novel.txt", **SHAPE) == mode_of(text, "novel.txt", **SHAPE) == 0o700  # their folder is closed
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
        assert mode_of("-", **SHAPE) == 0o700
        text.chmod(0o600)
        assert mode_of(text, **SHAPE) == 0o700
        text.chmod(0o644)
        os.umask(0o027)
        assert mode_of(text, **SHAPE) == 0o750
    finally:
        os.umask(before)


def test_a_plan_holds_what_the_run_needs():
    plan = plan_of(units=16, cell="gru")
    assert (plan.name, plan.path) == ("novel", Path("models/novel"))
    assert (plan.model.units, plan.model.cell, plan.model.num_layers) == (16, "gru", 2)
    assert plan.model.vocabulary_size == plan.tokenizer.vocabulary_size == len(set(TEXT))
    assert plan.tokenizer.decode(plan.prepared.train_ids) + plan.tokenizer.decode(plan.prepared.validation_ids) == TEXT
    assert len(plan.prepared.validation_ids) == len(TEXT) // 10
    assert plan.total_steps == 7
    assert plan.corpus.characters == len(TEXT)
    assert plan.corpus.sources == (str(Path("novel.txt").absolute()),)


def test_a_plan_has_what_was_asked_for_and_the_recipe_the_rest():
    plan = plan_of(units=16, tied=True, dropout=0.3)
    assert (plan.model.units, plan.model.tied, plan.training.dropout, plan.training.batch_size) == (16, True, 0.3, 2)
    assert (plan.model, plan.training) == (plan.recipe.model, plan.recipe.training)
    assert (plan.recipe.asked.model.units, plan.recipe.asked.model.skip) == (16, None)
    facts = plan.recipe.facts
    assert facts == ("char", len(plan.prepared.train_ids), len(set(TEXT)), RATE, None, "float32", None)
    assert (plan.begins, plan.overwrite, plan.parent) == (None, False, None)


def test_a_preset_is_a_size():
    assert plan_of(preset="large").model.units == recipe.PRESETS["large"].units
    with pytest.raises(SettingError, match="`preset` must be one of tiny, small, medium, large"):
        plan_of(preset="huge")


def test_another_recipe_gives_another_plan_and_leaves_this_one_as_it_was():
    plan = plan_of(minutes=5.0)
    batches, model, training = plan.batches, plan.model, plan.training
    assert plan.batches is batches  # made once
    slow = plan.recipe.at_speed(plan.recipe.tokens_per_second / 1000)
    other = plan.by(slow._replace(training=slow.training.replace(batch_size=3)))
    assert (other.model, other.recipe.facts.operations_per_second) == (slow.model, RATE / 1000)
    assert (other.batches.batch_size, other.prepared, other.corpus) == (3, plan.prepared, plan.corpus)
    assert (plan.model, plan.training, plan.batches) == (model, training, batches)
    assert batches.batch_size == 2


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        ({"steps": 9}, 9),
        ({"epochs": 2}, 106),
        ({"epochs": 0.001}, 1),
        ({"minutes": 1.0}, None),
        ({"steps": None}, None),
    ],
)
def test_steps_and_epochs_are_settled_at_once_and_minutes_are_not(budget, steps):
    """864 tokens in two streams of (864 - 8) // 2 = 428, so 53 windows of 8 in an epoch."""
    assert plan_of(**budget).total_steps == steps


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


@pytest.mark.parametrize("name", ["a/b", "../up", ".hidden", "-flag", "", " ", "a b", "a\n", "x" * 101])
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "exists"),
        ({"name": "../x"}, "--name"),
        ({"steps": 7, "epochs": 2}, "one budget"),
        ({"overwrite": True}, "reads"),
    ],
    ids=["an existing model", "a name", "budgets", "nothing"],
)
def test_what_is_wrong_at_once_is_told_before_a_model_reads_the_text(monkeypatch, options, said):
    def begin(request):
        raise ModelError("a model reads the text, which takes seconds")

    monkeypatch.setattr("textgen.training.plan.begin", begin)
    write_stored_model(Path("models"), make_stored_model(), "novel")
    with pytest.raises(TextgenError, match=said):
        plan_of(**options)


def test_two_texts_of_one_name_do_not_clash_in_silence():
    model = make_stored_model()
    corpus = CorpusRecord(name="novel", sources=("/elsewhere/novel.txt",))
    write_stored_model(Path("models"), model._replace(record=dataclasses.replace(model.record, corpus=corpus)), "novel")
    assert message_of() == (
        "models/novel exists, and is a model of /elsewhere/novel.txt. Use --overwrite or another --name"
    )


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
        plan_of(batch_size=500)


def test_a_shape_outside_its_range_is_wrong_usage():
    with pytest.raises(SettingError, match="`units`"):
        plan_of(units=0)


def test_a_plan_that_begins_with_a_model_has_its_shape_and_says_which_it_was():
    symbols = "".join(sorted({*TEXT} - {"c"}))
    old = write_stored_model(Path("models"), make_stored_model("gru", symbols=symbols, tied=True), "old")
    plan = plan_of(init_from="old", learning_rate=0.001)
    parent = model_directory.load_model("old", Path("models"))
    assert plan.model == parent.record.model.replace(vocabulary_size=len(symbols) + 1)
    assert plan.parent == ParentRecord("old", parent.sha256, symbols_added=1, words_added=0)
    assert plan.recipe.facts.begins_trained
    assert (plan.training.learning_rate, plan.training.weight_decay) == (0.001, 0)
    assert plan_of(init_from=str(old)).parent == plan.parent
    with pytest.raises(SettingError, match="`units=9` contradicts `init_from`"):
        plan_of(init_from="old", units=9)


# ---- words and documents

WORDS = {"level": "word", "vocabulary_size": 17}
LINES = {"documents": "line"}


def test_a_plan_of_words_has_the_words_of_the_text():
    plan = plan_of(**WORDS)
    assert plan.tokenizer.level == plan.text.level == "word"
    assert [*plan.tokenizer.words] == [" cat", " mat", " on", " sat", " the"]  # all equally often, as "the" is
    assert plan.model.tied
    assert plan.model.vocabulary_size == len(set(TEXT)) + 5 == 17
    assert plan.tokenizer.decode(plan.prepared.train_ids) + plan.tokenizer.decode(plan.prepared.validation_ids) == TEXT
    assert len(plan.prepared.train_ids) < len(TEXT) / 2
    assert (plan.corpus.characters, plan.corpus.documents) == (len(TEXT), 0)


def test_tokens_per_character_are_those_of_the_validation_part():
    """Two lines of 24 characters each: "the" spelled, five words, a full stop and a newline, ten tokens."""
    Path("novel.txt").write_text(TEXT[:-48] + "the cat sat on the mat.\n" * 2)
    plan = plan_of(**WORDS, val_fraction=0.05)
    assert len(plan.prepared.validation_ids) == 2 * 10
    assert plan.tokens_per_character == pytest.approx(20 / 48)
    assert plan_of().tokens_per_character == 1


def test_a_plan_of_documents_takes_whole_ones_for_validation():
    names = [f"name {first}{second}" for first in "abcdefghij" for second in "klmnopqrst"]
    Path("names.txt").write_text("\n".join(names))
    plan = plan_of("names.txt", **LINES)
    assert plan.corpus.documents == plan.prepared.num_documents == 100
    assert plan.prepared.num_validation_documents == 10
    assert plan.corpus.characters == sum(map(len, names))
    eod = plan.tokenizer.eod_id
    assert eod == plan.model.vocabulary_size - 1
    parts = [documents_of(ids, plan.tokenizer) for ids in (plan.prepared.train_ids, plan.prepared.validation_ids)]
    assert sorted(parts[0] + parts[1]) == names
    assert [name for name in names if name in parts[0]] == parts[0]  # the order is kept
    assert plan.tokens_per_character == 1  # the end of a document counts as a character
    other = plan_of("names.txt", **LINES, seed=1)
    assert documents_of(other.prepared.validation_ids, other.tokenizer) != parts[1]


def documents_of(ids, tokenizer) -> list[str]:
    spelled = "".join("|" if i == tokenizer.eod_id else tokenizer.pieces[i] for i in ids)
    return spelled.removesuffix("|").split("|")


def test_a_column_of_a_table_gives_the_documents():
    rows = [f'{n},"cat {n}, sat\non {n}"' for n in range(40)]
    Path("cats.csv").write_text("\n".join(["id,text", *rows]))
    plan = plan_of("cats.csv", column="text")
    assert plan.corpus.documents == 40
    parts = [documents_of(ids, plan.tokenizer) for ids in (plan.prepared.train_ids, plan.prepared.validation_ids)]
    assert sorted(parts[0] + parts[1]) == sorted(f"cat {n}, sat\non {n}" for n in range(40))


def test_a_normalising_plan_learns_from_the_normal_form():
    plan = plan_of(normalize="casefold")
    assert plan.tokenizer.normalize == "casefold"
    Path("loud.txt").write_text(TEXT.upper())
    loud = plan_of("loud.txt", normalize="casefold")
    assert loud.prepared.train_ids.tobytes() == plan.prepared.train_ids.tobytes()


@pytest.mark.parametrize(
    ("given", "most_scored", "settled"),
    [(None, 12, 0), (None, 11, 5), (0, 11, 0), (6, 12, 6), (12, 11, 0)],
)
def test_a_large_vocabulary_is_sampled_unless_said_otherwise(monkeypatch, given, most_scored, settled):
    monkeypatch.setattr(recipe, "MOST_SCORED", most_scored)  # the text has 12 ids
    monkeypatch.setattr(recipe, "NUM_SAMPLED", 5)
    assert plan_of(num_sampled=given).training.num_sampled == settled


@pytest.mark.parametrize(("size", "said"), [(12, "too small"), (5_000, "is more than the text has")])
def test_a_vocabulary_size_that_the_text_cannot_have_is_refused_with_one_that_it_can(folder, size, said):
    before = everything_in(folder)
    with pytest.raises(TokenizerError, match=said):
        plan_of(**WORDS | {"vocabulary_size": size})
    assert everything_in(folder) == before


def test_the_caller_hears_of_every_pass_over_the_text():
    heard = []
    Path("fresh.txt").write_text(TEXT + "quite fresh")
    plan_of("fresh.txt", progress=lambda stage, done, total: heard.append((stage, done, total)))
    stages = list(dict.fromkeys(stage for stage, _, _ in heard))
    assert stages == ["checking", "reading", "encoding"]
    size = Path("fresh.txt").stat().st_size
    assert all(done <= total == size for _, done, total in heard)


@pytest.mark.parametrize("text", [WORDS, LINES, {"normalize": "casefold"}], ids=str)
def test_a_run_of_any_kind_of_text_is_resumed_as_it_was_planned(text):
    if text == LINES:
        Path("novel.txt").write_text("".join(f"the cat {n} sat\n" for n in range(60)))
    plan = plan_of(**text, **SHAPE)
    begin(plan, make_stored_model(tokenizer=plan.tokenizer))
    again = resumed()
    assert (again.text, again.training, again.model) == (plan.text, plan.training, plan.model)
    assert again.corpus == plan.corpus
    assert again.tokenizer.to_json() == plan.tokenizer.to_json()
    assert again.prepared.train_ids.tobytes() == plan.prepared.train_ids.tobytes()
    assert again.prepared.validation_ids.tobytes() == plan.prepared.validation_ids.tobytes()
    Path("novel.txt").write_text(Path("novel.txt").read_text().replace("cat", "dog", 1))
    with pytest.raises(CorpusError, match="is not the one this run began with"):
        resumed()


# ---- a run to go on with


def test_resuming_gives_the_plan_of_the_run_and_its_checkpoint():
    begin_run()
    plan, first = resumed(), plan_of(name="again", **SHAPE)
    assert (plan.name, plan.path, plan.model, plan.training) == (
        "novel",
        Path("models/novel"),
        first.model,
        first.training,
    )
    assert plan.prepared.train_ids.tobytes() == first.prepared.train_ids.tobytes()
    assert plan.corpus == first.corpus
    assert (plan.total_steps, plan.begins.progress.step, plan.notes) == (7, 3, ())
    assert (plan.recipe, plan.overwrite, plan.parent) == (None, False, None)


def test_without_a_name_the_run_of_the_given_text_is_resumed():
    begin_run()
    assert resumed(None, "novel.txt").path == Path("models/novel")


def test_a_run_that_was_named_by_latin_letters_alone_is_found_by_its_text():
    text = Path("\u0412\u043e\u0439\u043d\u0430.txt")
    text.write_text(TEXT)
    plan = plan_of(text, name="corpus", **SHAPE)
    begin(plan, make_stored_model(tokenizer=plan.tokenizer), 3)
    assert resumed(None, str(text)).path == Path("models/corpus")
    Path("\u041c\u0438\u0440.txt").write_text(TEXT)
    with pytest.raises(ModelError, match="no model '\u041c\u0438\u0440'"):
        resumed(None, "\u041c\u0438\u0440.txt")


def test_resuming_reads_the_text_where_it_was_or_where_it_is_said_to_be():
    begin_run()
    Path("novel.txt").rename("moved.txt")
    with pytest.raises(CorpusError, match=r"novel\.txt"):
        resumed()
    plan = resumed("novel", "moved.txt")
    assert plan.tokenizer.decode(plan.prepared.train_ids) == TEXT[: len(plan.prepared.train_ids)]


def test_a_text_that_changed_is_refused():
    begin_run()
    Path("novel.txt").write_text(TEXT + "more")
    with pytest.raises(CorpusError, match=r"novel is not the one this run began with .* train a new model"):
        resumed()


def test_a_finished_model_is_not_resumed():
    write_stored_model(Path("models"), make_stored_model(), "novel")
    with pytest.raises(ModelError, match=r"is finished; there is nothing to resume\. Sample it: textgen sample novel"):
        resumed()


def test_a_name_that_is_not_there_is_answered_with_the_nearest():
    begin_run()
    with pytest.raises(ModelError, match=r"Did you mean novel\? To begin a run, leave out --resume$"):
        resumed("novle")


def test_where_no_run_is_named_those_that_are_unfinished_are_listed():
    begin_run()
    write_stored_model(Path("models"), make_stored_model(), "finished")
    with pytest.raises(ModelError) as caught:
        resumed(None)
    assert str(caught.value) == "no run is named. Unfinished in models: novel. Give one as --name"


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used():
    begin_run(step=3)
    begin_run(step=5)
    newest = model_directory.checkpoint_dirs(Path("models/novel"))[0]
    (newest / model_directory.WEIGHTS).write_bytes(b"")
    plan = resumed()
    assert plan.begins.progress.step == 3
    assert len(plan.notes) == 1
    assert "step-00000005 is damaged and not used" in plan.notes[0]


def test_a_run_without_any_whole_checkpoint_cannot_be_resumed():
    path = begin_run()
    (model_directory.checkpoint_dirs(path)[0] / manifest.MANIFEST).unlink()
    with pytest.raises(TextgenError, match="step-00000003 is damaged"):
        resumed()


# ---- words that are none


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join(map("".join, itertools.product("abcdefghij", repeat=4))), "1 word, which covers 0.0%"),
        ("\u5929\u5730\u5c71\u6c34\u98ce\u3002\n" * 200, "0 words, which cover 0.0%"),
        (TEXT, None),
    ],
)
def test_a_word_model_of_a_text_without_words_is_said(text, said):
    Path("list.txt").write_text(text)
    notes = plan_of("list.txt", level="word").notes
    assert len(notes) == (said is not None)
    if said is not None:
        assert notes[0].startswith(f"the vocabulary has {said} of the text's characters")
        assert notes[0].endswith("--level char suits such a text")
    assert plan_of("list.txt").notes == ()
