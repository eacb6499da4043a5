"""Settings: what is accepted, what is refused and in which words, and the way to JSON and back."""

import dataclasses
import json
import math

import pytest
from conftest import model_config, training_config
from hypothesis import given
from hypothesis import strategies as st

from textgen.config import ModelConfig, SamplingConfig, TextConfig, TrainingConfig, WorkersConfig
from textgen.errors import SettingError, WrongTypeError
from textgen.schema import Settings, setting

CONFIGS = (TextConfig, ModelConfig, TrainingConfig, SamplingConfig, WorkersConfig)
LONGEST = 2**31 - 1

# (config, field, values at the edge that are accepted, values just beyond that are refused)
RANGES = [
    (TextConfig, "level", ("char", "word", None), ("character", "WORD", "")),
    (TextConfig, "vocabulary_size", (1, 4_194_304, None), (0, 4_194_305)),
    (TextConfig, "normalize", ("none", "nfc", "nfkc", "casefold"), ("nfd", "NFC", "")),
    (TextConfig, "documents", ("whole", "file", "line", "blank-line"), ("lines", "blank_line", "")),
    (TextConfig, "column", (None, "name", "a b"), (3, ("name",))),
    (TextConfig, "document_separator", (None, "---", r"\n\n\n", "<|x|>"), (3, "", "\udcff")),
    (TextConfig, "bad_rows", ("error",), ("ignore", "")),
    (TextConfig, "file_format", ("auto", "text", "html", "ipynb", "srt", "vtt"), ("docx", "HTML", "", None)),
    (TextConfig, "include", (None, (), ("*.py",), ("a", "b")), (("",), ("/",), "*.py", ("\udcff",))),
    (TextConfig, "exclude", ((), ("*.py", "drafts/")), (("",), "*.py", None)),
    (TextConfig, "encoding", ("auto", "utf-8", "latin-1"), (None, 8)),
    (TextConfig, "encoding_errors", ("strict", "replace", "skip"), ("ignore", "", None)),
    (WorkersConfig, "workers", (1, 1024, None), (0, 1025)),
    (WorkersConfig, "worker_timeout", (1, 1e6), (0.9, 1.1e6)),
    (ModelConfig, "vocabulary_size", (2, 4_194_304), (1, 4_194_305)),
    (ModelConfig, "cell", ("lstm", "gru", "rnn"), ("LSTM", "transformer", "")),
    (ModelConfig, "embedding_size", (1, 65_536, None), (0, 65_537)),
    (ModelConfig, "units", (1, 65_536, None), (0, 65_537)),
    (ModelConfig, "num_layers", (1, 16), (0, 17)),
    (ModelConfig, "tied", (True, False, None), (1, "yes")),
    (ModelConfig, "skip", (True, False, None), (0, "no")),
    (TrainingConfig, "minutes", (5e-324, 1, 1e9, None), (0, -1.0)),
    (TrainingConfig, "epochs", (5e-324, 1, 1e9, None), (0, -1.0)),
    (TrainingConfig, "steps", (1, 10**12, None), (0, -1)),
    (TrainingConfig, "sequence_length", (1, 65_536), (0, 65_537)),
    (TrainingConfig, "batch_size", (1, 65_536, None), (0, 65_537)),
    (TrainingConfig, "learning_rate", (1e-9, 10, None), (0, 10.1)),
    (TrainingConfig, "schedule", ("one-cycle", "slanted", "constant"), ("cosine", "")),
    (TrainingConfig, "recurrent_initializer", ("orthogonal", "glorot"), ("zeros", "")),
    (TrainingConfig, "forget_bias", (-100, 0, 100), (-100.1, 100.1)),
    (TrainingConfig, "unigram_bias", (True, False), (None, 1, "no")),
    (TrainingConfig, "dropout", (0, 0.95, None), (-0.01, 0.96)),
    (TrainingConfig, "input_dropout", (0, 0.95), (-0.01, 0.96)),
    (TrainingConfig, "embedding_dropout", (0, 0.95), (-0.01, 0.96)),
    (TrainingConfig, "weight_drop", (0, 0.95), (-0.01, 0.96)),
    (TrainingConfig, "activation_reg", (0, 1000, None), (-0.01, 1001)),
    (TrainingConfig, "temporal_activation_reg", (0, 1000), (-0.01, 1001)),
    (TrainingConfig, "state_reset", (0, 1), (-0.01, 1.01)),
    (TrainingConfig, "num_sampled", (None, 0, 1_048_576), (-1, 1_048_577)),
    (TrainingConfig, "bias_rate", (0, 1000), (-0.01, 1000.1)),
    (TrainingConfig, "clip_norm", (0, 1e9), (-0.01,)),
    (TrainingConfig, "weight_decay", (0, 10, None), (-0.01, 10.1)),
    (TrainingConfig, "ema", (0, 0.99999), (-0.01, 1)),
    (TrainingConfig, "val_fraction", (0, 0.9), (-0.01, 0.91)),
    (TrainingConfig, "seed", (0, LONGEST), (-1, LONGEST + 1)),
    (TrainingConfig, "checkpoint_every", (0, 10**6), (-1,)),
    (TrainingConfig, "keep_checkpoints", (1, 10**6), (0, -1)),
    (TrainingConfig, "cores", (1, 1024, None), (0, 1025)),
    (TrainingConfig, "storage", ("float32", "float16", "int8", None), ("", "int4", 8)),
    (TrainingConfig, "sample_every", (0, 10**6), (-1,)),
    (TrainingConfig, "copy_index", (True, False), (1, "yes")),
    (SamplingConfig, "endless", (True, False), (1, "yes")),
    (SamplingConfig, "beams", (1, 1000), (0, 1001, 1.5)),
    (SamplingConfig, "must_include", ((), ("a", "b c")), (("",), "a", ("x" * 201,), ("a",) * 101)),
    (SamplingConfig, "regex", (None, "a|b", "(?i)x{2,5}"), ("", "(", "x" * 10_001, 5)),
    (SamplingConfig, "max_copy", (0, 4096), (-1, 4097, 1.5)),
    (SamplingConfig, "length", (1, LONGEST), (0, LONGEST + 1)),
    (SamplingConfig, "repeat_penalty", (0.01, 100), (0.009, 101)),
    (SamplingConfig, "repeat_last_n", (1, 4096), (0, 4097)),
    (SamplingConfig, "ban", ((), ("the", "[a-z]"), ("e" * 1000,)), (("",), ("e" * 1001,))),
    (SamplingConfig, "presence_penalty", (-2, 2), (-2.1, 2.1)),
    (SamplingConfig, "frequency_penalty", (-2, 2), (-2.1, 2.1)),
    (SamplingConfig, "no_repeat_ngram", (0, 100), (-1, 101)),
    (SamplingConfig, "typical", (0.001, 1), (0, 1.1)),
    (SamplingConfig, "min_length", (0, 300), (-1, 301)),
    (SamplingConfig, "temperature", (0, 1000), (-0.01, 1001)),
    (SamplingConfig, "top_k", (0, LONGEST), (-1, LONGEST + 1)),
    (SamplingConfig, "top_p", (5e-324, 1), (0, 1.01)),
    (SamplingConfig, "min_p", (0, 1), (-0.01, 1.01)),
    (SamplingConfig, "seed", (0, 2**63 - 1), (-1, 2**63)),
    (SamplingConfig, "stop", ((), ("a",), ("a", "b")), (("",), ("a", ""))),
    (SamplingConfig, "ignore_eod", (True, False), (None, 0, "no")),
    (SamplingConfig, "new_words", (True, False), (None, 0, "no")),
]
ACCEPTED = [(cls, field, value) for cls, field, inside, _ in RANGES for value in inside]
REFUSED = [(cls, field, value) for cls, field, _, outside in RANGES for value in outside]


def make(cls: type[Settings], field: str, value) -> Settings:
    """`cls` with one field set, and the level where it is for words."""
    return cls(**{"level": "word"} if (cls, field) == (TextConfig, "vocabulary_size") else {}, **{field: value})


def message_of(cls: type[Settings], field: str, value) -> str:
    with pytest.raises(SettingError) as caught:
        make(cls, field, value)
    return str(caught.value)


# ---- ranges and types


@pytest.mark.parametrize(("cls", "field", "value"), ACCEPTED)
def test_values_at_the_edge_of_their_range_are_accepted(cls, field, value):
    assert getattr(make(cls, field, value), field) == value


@pytest.mark.parametrize(("cls", "field", "value"), REFUSED)
def test_values_beyond_their_range_are_refused_and_the_setting_is_named(cls, field, value):
    message = message_of(cls, field, value)
    assert message.startswith(f"`{field}` must ")
    assert "Received: " in message


def test_the_table_above_names_every_setting():
    assert {(cls, f.name) for cls in CONFIGS for f in dataclasses.fields(cls)} == {row[:2] for row in RANGES}


def test_a_message_says_what_is_expected_and_what_was_received():
    assert message_of(SamplingConfig, "temperature", -1) == "`temperature` must be at least 0. Received: -1"
    assert message_of(SamplingConfig, "top_p", 0) == "`top_p` must be above 0. Received: 0"
    assert message_of(TrainingConfig, "dropout", 0.99) == "`dropout` must be at most 0.95. Received: 0.99"
    assert message_of(ModelConfig, "cell", "cnn") == "`cell` must be one of lstm, gru, rnn. Received: 'cnn'"
    assert message_of(ModelConfig, "units", 1.5) == "`units` must be a whole number. Received: 1.5"


@pytest.mark.parametrize(
    ("cls", "field", "value"),
    [
        (ModelConfig, "units", 128.0),
        (ModelConfig, "units", "128"),
        (ModelConfig, "units", True),
        (ModelConfig, "num_layers", None),
        (ModelConfig, "cell", 3),
        (ModelConfig, "cell", None),
        (TrainingConfig, "minutes", "2"),
        (TrainingConfig, "minutes", True),
        (TrainingConfig, "steps", 2.0),
        (TrainingConfig, "input_dropout", None),
        (SamplingConfig, "temperature", [1.0]),
        (SamplingConfig, "temperature", False),
        (SamplingConfig, "stop", "text"),
        (SamplingConfig, "stop", ["text"]),
        (SamplingConfig, "stop", ("text", 1)),
    ],
)
def test_values_of_another_type_are_refused(cls, field, value):
    assert message_of(cls, field, value).startswith(f"`{field}` must ")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400], ids=["nan", "inf", "-inf", "10**400"])
@pytest.mark.parametrize(
    ("cls", "field"), [(SamplingConfig, "temperature"), (TrainingConfig, "clip_norm"), (TrainingConfig, "minutes")]
)
def test_numbers_that_are_not_finite_are_refused(cls, field, value):
    assert message_of(cls, field, value).startswith(f"`{field}` must be a finite number. Received: ")


def test_a_whole_number_is_a_float_too():
    assert SamplingConfig(temperature=1) == SamplingConfig(temperature=1.0)


# ---- budgets


@pytest.mark.parametrize("budget", [{}, {"minutes": 3.0}, {"epochs": 3.0}, {"steps": 3}])
def test_one_budget_is_enough_and_none_leaves_it_open(budget):
    assert TrainingConfig(**budget).to_json() == TrainingConfig().to_json() | budget


@pytest.mark.parametrize(
    ("budgets", "names"),
    [
        ({"epochs": 3, "steps": 3}, "epochs, steps"),
        ({"minutes": 2.0, "epochs": 1, "steps": 5}, "minutes, epochs, steps"),
    ],
)
def test_two_budgets_are_refused(budgets, names):
    with pytest.raises(SettingError) as caught:
        TrainingConfig(**budgets)
    assert str(caught.value) == f"Give one budget of `minutes`, `epochs` and `steps`. Received: {names}"


# ---- texts


def test_a_vocabulary_size_is_for_words():
    with pytest.raises(SettingError) as caught:
        TextConfig(vocabulary_size=100)
    assert str(caught.value) == (
        "`vocabulary_size` is for `level=word`; a character model has all characters of its text"
    )
    assert TextConfig(level="word", vocabulary_size=100).replace(vocabulary_size=None, level=None) == TextConfig()


@pytest.mark.parametrize("documents", ["file", "line", "blank-line"])
def test_a_column_is_one_kind_of_documents_and_leaves_no_room_for_another(documents):
    with pytest.raises(SettingError) as caught:
        TextConfig(column="name", documents=documents)
    assert str(caught.value) == f"`column` makes every row a document; leave out `documents={documents}`"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"documents": "line"}, "`document_separator` says where documents end; leave out `documents=line`"),
        ({"column": "name"}, "`document_separator` says where documents end; leave out `column=name`"),
    ],
)
def test_a_mark_leaves_no_room_for_other_ends_of_documents(settings, message):
    with pytest.raises(SettingError) as caught:
        TextConfig(document_separator="---", **settings)
    assert str(caught.value) == message


def test_bad_rows_are_those_of_a_table():
    assert TextConfig(column="name", bad_rows="skip").bad_rows == "skip"
    with pytest.raises(SettingError, match="`bad_rows` is for the rows of a table; add `column`"):
        TextConfig(bad_rows="skip")


@pytest.mark.parametrize(
    ("typed", "mark"),
    [
        (None, None),
        ("<|x|>", "<|x|>"),
        (r"\n\n\n", "\n\n\n"),
        ("\n\n", "\n\n"),
        ("\r\n--\r\n", "\n--\n"),
        (r"a\t\\n\q", "a\t\\n\\q"),
    ],
)
def test_escapes_in_a_mark_are_understood_and_it_is_kept_as_it_was_typed(typed, mark):
    config = TextConfig(document_separator=typed)
    assert config.mark == mark
    assert TextConfig.from_json(config.to_json() | {"level": "char"}).document_separator == typed


def test_what_was_read_before_there_were_marks_and_bad_rows_is_read_alike():
    document = TextConfig(level="char", column="name").to_json()
    del document["document_separator"], document["bad_rows"]
    assert TextConfig.from_json(document) == TextConfig(level="char", column="name")


@pytest.mark.parametrize(
    ("config", "separator"),
    [
        (TextConfig(), None),
        (TextConfig(documents="file"), "\n\n"),
        (TextConfig(documents="line"), "\n"),
        (TextConfig(documents="blank-line"), "\n\n"),
        (TextConfig(column="name"), "\n"),
        (TextConfig(column=""), "\n"),
        (TextConfig(document_separator="<|x|>"), "\n\n"),
    ],
)
def test_documents_are_separated_as_they_stood_in_the_corpus(config, separator):
    assert config.between_documents == separator
    assert config.has_documents == (separator is not None)


# ---- copies


def test_settings_cannot_be_changed_and_a_changed_copy_is_validated_again():
    config = SamplingConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
    assert config.replace(seed=1) == SamplingConfig(seed=1)
    with pytest.raises(SettingError, match="`seed` must be at least 0"):
        config.replace(seed=-1)


def test_what_is_filled_in_stands_where_nothing_was_decided():
    config = ModelConfig(units=7)
    filled = config.filled({"units": 9, "embedding_size": 3, "skip": False})
    assert filled == ModelConfig(units=7, embedding_size=3, skip=False)
    assert config == ModelConfig(units=7)
    with pytest.raises(SettingError, match="`embedding_size` must be at least 1"):
        config.filled({"embedding_size": 0})


def test_a_default_that_could_be_changed_is_a_programming_error():
    with pytest.raises(TypeError, match="a default must be immutable"):
        setting([], "A list.")


# ---- JSON


def finite(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=low == 0)


models = st.builds(
    model_config,
    vocabulary_size=st.integers(2, 4_194_304),
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    units=st.integers(1, 65_536),
    num_layers=st.integers(1, 16),
    tied=st.booleans(),
    skip=st.booleans(),
)
texts = st.one_of(
    st.builds(
        TextConfig,
        level=st.just("word"),
        vocabulary_size=st.none() | st.integers(1, 4_194_304),
        documents=st.sampled_from(["whole", "file", "line", "blank-line"]),
    ),
    st.builds(
        TextConfig,
        level=st.just("char"),
        normalize=st.sampled_from(["nfc", "nfkc", "casefold"]),
        column=st.none() | st.text(),
    ),
)
trainings = st.builds(
    training_config,
    minutes=finite(0, 1e300),
    learning_rate=finite(0, 10),
    dropout=st.floats(0, 0.95),
    bias_rate=st.floats(0, 1000),
    clip_norm=st.floats(0, 1e300),
    num_sampled=st.none() | st.integers(0, 1_048_576),
    seed=st.integers(0, LONGEST),
)
samplings = st.builds(
    SamplingConfig,
    temperature=st.floats(0, 1000) | st.lists(st.floats(0, 1000), min_size=1, max_size=4).map(tuple),
    top_p=finite(0, 1),
    typical=finite(0, 1),
    ban=st.lists(st.text(min_size=1, max_size=9), max_size=9).map(tuple),
    repeat_penalty=finite(0.01, 100),
    seed=st.integers(0, 2**63 - 1),
    stop=st.lists(st.text(min_size=1)).map(tuple),
    ignore_eod=st.booleans(),
    new_words=st.booleans(),
)


@given(st.one_of(texts, models, trainings, samplings))
def test_settings_come_back_from_json_as_they_were(config):
    document = json.loads(json.dumps(config.to_json(), allow_nan=False))
    assert type(config).from_json(document) == config


@pytest.mark.parametrize("cls", CONFIGS)
def test_json_holds_every_field_under_its_own_name(cls):
    assert list(cls().to_json()) == [field.name for field in dataclasses.fields(cls)]


@pytest.mark.parametrize("cls", CONFIGS)
def test_json_with_a_key_too_many_or_too_few_is_refused(cls):
    document = cls().to_json()
    with pytest.raises(SettingError, match=f"{cls.__name__} expects exactly the keys .*'extra'"):
        cls.from_json(document | {"extra": 1})
    del document[next(iter(document))]
    with pytest.raises(SettingError, match=f"{cls.__name__} expects exactly the keys"):
        cls.from_json(document)


def test_settings_of_an_older_version_get_what_it_did():
    """A version that had no name for these could do nothing else."""
    document = training_config(seed=3).to_json()
    new = {"schedule": "one-cycle", "recurrent_initializer": "orthogonal", "forget_bias": 1.0, "unigram_bias": True}
    new["storage"] = "float32"  # though its default leaves it open
    older = {name: value for name, value in document.items() if name not in new}
    assert document == older | new
    assert TrainingConfig.from_json(older) == TrainingConfig.from_json(document) == training_config(seed=3)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (config, field.name)
        for config in (TextConfig(level="char"), model_config(), training_config())
        for field in dataclasses.fields(config)
    ],
)
def test_in_json_only_a_setting_that_may_be_absent_is_null(config, name):
    """A file says what was decided, so nothing in it is left open."""
    document = config.to_json() | {name: None}
    if (
        name
        in (
            "minutes",
            "epochs",
            "steps",
            "column",
            "document_separator",
            "include",
            "vocabulary_size",
            "num_sampled",
            "cores",
        )
        and config != model_config()
    ):
        assert getattr(type(config).from_json(document), name) is None
    else:
        with pytest.raises(SettingError, match=rf"^`{name}` must be .*\. Received: None$"):
            type(config).from_json(document)


@pytest.mark.parametrize("document", [None, [], "text", 3, [["units", 3]]])
def test_json_that_is_not_an_object_is_refused(document):
    with pytest.raises(SettingError, match="ModelConfig expects exactly the keys"):
        ModelConfig.from_json(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"temperature": NaN', "`temperature` must be a finite number. Received: nan"),
        ('"temperature": 1e999', "`temperature` must be a finite number. Received: inf"),
        ('"temperature": null', "`temperature` must be a number, or several as 1.0,0.5. Received: None"),
        ('"temperature": true', "`temperature` must be a number, or several as 1.0,0.5. Received: True"),
        ('"seed": 1.0', "`seed` must be a whole number, or random. Received: 1.0"),
        ('"seed": "1"', "`seed` must be a whole number, or random. Received: '1'"),
        ('"seed": [1]', "`seed` must be a whole number, or random. Received: (1,)"),
        ('"seed": {}', "`seed` must be a whole number, or random. Received: {}"),
        ('"stop": "text"', "`stop` must be a list of strings. Received: 'text'"),
        ('"stop": [["text"]]', "`stop` must hold strings only. Received: (['text'],)"),
        ('"stop": [""]', "`stop` must not be empty. Received: ''"),
    ],
)
def test_json_of_the_wrong_type_is_refused(text, message):
    document = SamplingConfig().to_json() | json.loads("{" + text + "}")
    with pytest.raises(SettingError) as caught:
        SamplingConfig.from_json(document)
    assert str(caught.value) == message


# ---- help


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_setting_explains_itself_in_a_sentence(cls):
    for field in dataclasses.fields(cls):
        assert field.metadata["description"].endswith(".")
        assert field.metadata["description"][0].isupper()


def test_a_temperature_is_one_number_or_several_that_take_turns():
    assert SamplingConfig(temperature=0.5).to_json()["temperature"] == 0.5
    assert SamplingConfig(temperature=(0.5,)) == SamplingConfig(temperature=0.5)
    several = SamplingConfig(temperature=(1, 0.0))
    assert several.to_json()["temperature"] == [1, 0.0]
    assert [several.at(position).temperature for position in range(3)] == [1, 0.0, 1]
    for wrong, message in (
        ((0.5, -1.0), "at least 0"),
        ((0.5, 1001), "at most 1000"),
        ((0.5, math.nan), "finite"),
        ((0.5, "1"), "must be a number"),
        ((), "takes 1 to 1,000 numbers"),
        ((1.0,) * 1001, "takes 1 to 1,000 numbers"),
    ):
        with pytest.raises(SettingError, match=message):
            SamplingConfig(temperature=wrong)


def test_the_seed_random_is_another_one_each_time():
    seeds = {SamplingConfig(seed="random").seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**63 for seed in seeds)
    with pytest.raises(WrongTypeError, match="`seed` must be a whole number"):
        SamplingConfig(seed="Random")


def test_settings_of_before_there_were_bans_and_runs_still_load():
    new = {"presence_penalty", "frequency_penalty", "no_repeat_ngram", "ban", "min_length", "typical"}
    document = {name: value for name, value in SamplingConfig().to_json().items() if name not in new}
    assert SamplingConfig.from_json(document) == SamplingConfig()


def test_of_keys_that_are_not_those_of_the_settings_only_the_odd_ones_are_named():
    document = SamplingConfig().to_json()
    document |= {"unheard": 1, "also": 2}
    del document["length"]
    with pytest.raises(SettingError) as raised:
        SamplingConfig.from_json(document)
    assert str(raised.value) == (
        "SamplingConfig expects exactly the keys of its settings. Unknown: 'also', 'unheard'. Missing: 'length'"
    )
