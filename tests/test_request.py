"""What `textgen train` and `textgen.train` ask for, as far as it can be checked without a text."""

from pathlib import Path

import numpy as np
import pytest
from conftest import make_stored_model

from textgen.config import END_OF_DOCUMENT, ModelConfig, TextConfig, TrainingConfig
from textgen.errors import SettingError, WrongTypeError
from textgen.schema import with_flags
from textgen.training.request import Request, configs_of, given_settings, open_requested

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


def test_settings_are_checked_before_anything_is_looked_for_and_numbers_of_numpy_are_plain():
    assert [
        type(value) for value in given_settings(request_of(units=np.int64(3), dropout=np.float32(0.5))).values()
    ] == [
        int,
        float,
    ]
    with pytest.raises(WrongTypeError, match="`units` must be a whole number"):
        request_of(units=np.array([1, 2]))


# ---- texts in memory


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": ()}, "`texts` holds no text"),
        ({"texts": ""}, "`texts` holds no text"),
        ({"texts": "a", "sources": NOVEL}, "give either files or `texts`"),
        ({"texts": "a", "settings": {"encoding": "latin-1"}}, "`encoding` is for files"),
        ({"texts": "a", "settings": {"column": "text"}}, "`column` is for files"),
    ],
)
def test_texts_are_given_once_and_need_no_decoding(options, message):
    with pytest.raises(SettingError, match=message):
        Request(Path("models"), **options)


def test_several_texts_are_documents_and_one_is_a_whole():
    several, one = Request(Path("models"), texts=("a", "b")), Request(Path("models"), texts="a")
    assert (configs_of(several)[0].documents, configs_of(one)[0].documents) == ("file", "whole")
    assert configs_of(several, make_stored_model())[0].documents == "file"
    lines = Request(Path("models"), texts=("a", "b"), settings={"documents": "line"})
    assert configs_of(lines)[0].documents == "line"
    assert configs_of(one)[0].level == "char"  # though without a source it would be the starter corpus
    assert (configs_of(one)[0].encoding, open_requested(one, configs_of(one)[0]).name) == ("utf-8", "texts")
    assert "".join(open_requested(several, configs_of(several)[0]).blocks()).split(END_OF_DOCUMENT) == ["a", "b", ""]


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
