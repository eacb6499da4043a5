"""What a run begins with: what was named, nothing, or the pretrained model where that reads the text well."""

from pathlib import Path

import pytest
from conftest import make_stored_model, make_word_tokenizer, write_stored_model

from textgen import pretrained
from textgen.errors import ModelError
from textgen.store import shipped
from textgen.training import beginning
from textgen.training.plan import make_plan
from textgen.training.request import Request

WORDS = make_stored_model(tokenizer=make_word_tokenizer("\n"), tied=True, embedding_size=12, storage="int8")
NOVEL = "the cat sat on a mat, and the dog sat on the cat.\n" * 80
CHOOSE = beginning.choose  # which conftest replaces


@pytest.fixture
def english(tmp_path, monkeypatch) -> Path:
    """A pretrained model that reads every text well, and a text in the working directory."""
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "package" / "textgen")
    monkeypatch.setattr(beginning, "choose", CHOOSE)
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(1.5, 3.0))
    monkeypatch.chdir(tmp_path)
    Path("novel.txt").write_text(NOVEL)
    return write_stored_model(tmp_path / "package" / "saved_models", WORDS, "english")


def planned(said: list[str] | None = None, init_from: str | None = None, preset: str | None = None, **settings):
    settings = {"steps": 3, "batch_size": 2, "sequence_length": 8} | settings
    request = Request(Path("models"), ("novel.txt",), settings=settings, init_from=init_from, preset=preset)
    return make_plan(request, tell=[].append if said is None else said.append)


def test_a_text_that_the_pretrained_model_reads_well_begins_with_it(english):
    said = []
    plan = planned(said)
    assert said == ["with english: reads this text at 1.50 bits per character before a step"]
    assert (plan.parent.name, plan.text.level, plan.text.documents) == ("english", "word", "whole")
    assert (plan.model.units, plan.model.tied, plan.training.storage) == (12, True, "int8")
    assert plan.tokenizer.document_separator is None  # the model has documents, and the text has none


def test_a_text_that_it_does_not_read_well_begins_from_nothing(english, monkeypatch):
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(2.9, 3.0))
    said = []
    plan = planned(said)
    where = "where the character before alone gives 3.00"
    assert said == [f"from nothing: english reads this text at 2.90 bits per character before a step, {where}"]
    assert (plan.parent, plan.text.level) == (None, "char")


@pytest.mark.parametrize(("lines", "level"), [(3, "char"), (30, "word")])
def test_a_text_that_has_enough_characters_and_too_few_words_begins_from_nothing(english, lines, level):
    Path("novel.txt").write_text("the cat sat on a mat, and the dog sat on the cat.\n" * lines)
    said = []
    assert planned(said, sequence_length=32, batch_size=None).text.level == level
    assert said[0].startswith("from nothing" if level == "char" else "with english")


def test_words_that_the_run_learns_are_no_longer_spelled_where_its_tokens_are_counted(english):
    Path("novel.txt").write_text("the dog sat on zuzannavalentina.\n" * 24)
    said = []
    assert planned(said, sequence_length=32, batch_size=8).text.level == "char"
    assert said[0].startswith("from nothing")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"units": 9}, "`units=9` was given, and english has 12"),
        ({"cell": "gru"}, "`cell=gru` was given, and english has lstm"),
        ({"level": "char"}, "`level=char` was given, and english has word"),
        ({"normalize": "nfc"}, "`normalize=nfc` was given, and english has none"),
        ({"forget_bias": 1.0}, "`forget_bias=1.0` was given, and english has its weights already"),
        ({"preset": "tiny"}, "`preset=tiny` was given, which is a size of its own"),
    ],
)
def test_what_asks_for_another_model_begins_from_nothing_and_it_is_said(english, settings, reason):
    said = []
    assert planned(said, **settings).parent is None
    assert said == [f"from nothing: {reason}"]


def test_what_is_the_pretrained_model_s_own_is_no_contradiction(english):
    assert planned(level="word", units=12, cell="lstm", learning_rate=0.01).parent.name == "english"


@pytest.mark.parametrize("reading", [{"documents": "line"}, {"documents": "blank-line"}, {}])
def test_documents_of_every_kind_begin_with_it(english, reading):
    Path("novel.txt").write_text("the cat sat.\n\n" * 90)
    plan = planned(**reading)
    assert plan.parent.name == "english"
    assert plan.text.documents == reading.get("documents", "whole")


def test_nothing_can_be_asked_for_and_then_nothing_is_looked_at(english, monkeypatch):
    monkeypatch.setattr(pretrained, "find", lambda: pytest.fail("it was looked for"))
    said = []
    assert planned(said, init_from="none").parent is None
    assert said == []


def test_a_model_of_the_user_s_own_can_be_named_and_one_called_english_comes_first(english):
    mine = write_stored_model(Path("models"), make_stored_model(), "english")
    assert planned(init_from="english").begins.path == mine
    assert planned().begins.path == english  # by default it is the one that comes with textgen


@pytest.mark.parametrize(
    ("bits", "rate", "few_rate"), [(1.5, 0.00025, 0.0015), (2.2, 0.002, 0.003), (2.9, 0.006, 0.012)]
)
def test_how_well_a_named_model_reads_the_text_decides_the_recipe(english, monkeypatch, bits, rate, few_rate):
    monkeypatch.setattr(pretrained, "read", lambda model, reader: pretrained.Reading(bits, 3.0))
    plan = planned(init_from=str(english), steps=9_000)
    assert plan.recipe.facts.begins_at == pytest.approx(bits / 3.0)
    assert plan.training.learning_rate == rate
    assert plan.training.weight_decay == 0
    few = planned(init_from=str(english), steps=40)
    assert few.training.learning_rate == few_rate


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "weights.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{")])
def test_with_a_damaged_pretrained_model_a_run_is_refused_and_says_how_to_go_on(english, name, damage):
    damage(english / name)
    with pytest.raises(ModelError, match=r"^the pretrained model is damaged: .*Train without it: --init-from none$"):
        planned()
    assert not Path("models").exists()
    assert planned(init_from="none").parent is None


def test_without_the_pretrained_model_a_run_is_refused_and_says_how_to_go_on(english, monkeypatch):
    monkeypatch.setattr(shipped, "PACKAGE", Path("elsewhere/textgen"))
    with pytest.raises(ModelError, match=r"missing from this installation\. Train without it: --init-from none"):
        planned()
    assert not Path("models").exists()
    assert planned(init_from="none").parent is None
