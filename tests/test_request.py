"""What `textgen train` and `textgen.train` ask for, as far as it can be checked without a text."""

from pathlib import Path

import pytest
from conftest import make_stored_model

from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.schema import with_flags
from textgen.training.request import Request, configs_of

NOVEL = ("novel.txt",)


def request_of(sources: tuple[str, ...] = NOVEL, **settings) -> Request:
    return Request(Path("models"), sources, settings=settings)


def configs(**settings) -> tuple[TextConfig, ModelConfig, TrainingConfig]:
    return configs_of(request_of(**settings))


def test_what_nobody_gave_is_left_open_and_the_level_is_the_text_s():
    assert configs() == (TextConfig(level="char"), ModelConfig(), TrainingConfig())


def test_each_setting_goes_where_it_belongs():
    found = configs(documents="line", units=3, dropout=0.5, seed=7)
    expected = TextConfig(level="char", documents="line"), ModelConfig(units=3), TrainingConfig(dropout=0.5, seed=7)
    assert found == expected


def test_none_is_as_if_it_were_not_given():
    settings = {"level": None, "units": None, "minutes": None, "dropout": None, "column": None, "seed": None}
    assert configs(**settings) == configs()


def test_the_settings_of_a_request_are_not_changed():
    request = request_of(units=9)
    configs_of(request)
    configs_of(request, make_stored_model(units=9))
    assert request.settings == {"units": 9}


def test_the_level_is_what_is_given_else_the_parent_s_else_what_suits_the_text():
    words = make_stored_model()
    assert configs_of(request_of(()))[0].level == "word"  # the starter corpus
    assert configs_of(request_of(NOVEL))[0].level == "char"
    assert configs_of(request_of((), level="char"))[0].level == "char"
    assert configs_of(request_of(()), words)[0].level == "char"
    assert configs_of(request_of((), vocabulary_size=90))[0].vocabulary_size == 90
    with pytest.raises(SettingError, match="`vocabulary_size` is for `level=word`"):
        configs_of(request_of(NOVEL, vocabulary_size=90))


@pytest.mark.parametrize("budgets", [{"epochs": 3.0, "minutes": 2.0}, {"epochs": 3.0, "steps": 7}])
def test_two_budgets_are_refused(budgets):
    with pytest.raises(SettingError, match="Give one budget of `minutes`, `epochs` and `steps`"):
        configs(**budgets)


@pytest.mark.parametrize("name", ["unit", "vocabulary", "prompt", "temperature"])
def test_a_setting_that_does_not_exist_is_answered_with_those_that_do(name):
    with pytest.raises(SettingError) as caught:
        configs(**{name: 1})
    message = str(caught.value)
    assert message.startswith(f"unknown setting {name!r}. There are: ")
    assert {"units", "dropout", "level", "column"} <= set(message.split(": ")[1].split(", "))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": "syllable"}, "`level` must be one of char, word. Received: 'syllable'"),
        ({"level": ["word"]}, "`level` must be text"),
        ({"vocabulary_size": 500}, "`vocabulary_size` is for `level=word`"),
        ({"level": "word", "vocabulary_size": 0}, "`vocabulary_size` must be at least 1"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"units": 0}, "`units` must be at least 1"),
        ({"column": "name", "documents": "line"}, "`column` makes every row a document; leave out `documents=line`"),
    ],
)
def test_settings_out_of_range_are_wrong_usage(given, message):
    with pytest.raises(SettingError) as caught:
        configs(**given)
    assert message in str(caught.value)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_forget_bias_is_refused_where_there_is_no_forget_gate(cell):
    with pytest.raises(SettingError, match=f"`forget_bias` is for `cell=lstm`; {cell} has no forget gate"):
        configs(cell=cell, forget_bias=1.0)
    assert configs(forget_bias=0.0)[2].forget_bias == 0


# ---- a run to go on with


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"settings": {"tied": False, "level": None}}, "`tied=False`"),
        ({"settings": {"units": 3, "level": "word"}}, "`units`, `level`"),
        ({"preset": "tiny"}, "`preset`"),
        ({"init_from": "old"}, "`init_from`"),
        ({"overwrite": True}, "`overwrite`"),
    ],
)
def test_a_run_to_go_on_with_keeps_its_settings(options, named):
    with pytest.raises(SettingError) as caught:
        Request(Path("models"), resume=True, **options)
    assert str(caught.value) == f"`resume` goes on with the settings of the run; leave out {named}"
    assert with_flags(str(caught.value)).startswith("--resume goes on with the settings of the run; leave out --")


def test_a_run_to_go_on_with_has_a_name_a_text_and_may_be_a_dry_run():
    request = Request(Path("models"), NOVEL, name="novel", resume=True, dry_run=True, settings={"units": None})
    assert (request.name, request.sources, request.dry_run) == ("novel", NOVEL, True)
