"""How settings are called: by their names in messages and files, by their flags on the command line."""

import pytest
from damaging import change_json, reseal

from textgen.cli import main
from textgen.errors import ModelError
from textgen.schema import flag_of, off_flag_of, with_flags
from textgen.store import model_directory


def test_a_flag_is_the_field_with_dashes():
    assert (flag_of("sequence_length"), off_flag_of("unigram_bias")) == ("--sequence-length", "--no-unigram-bias")


@pytest.mark.parametrize(
    ("message", "spelled"),
    [
        ("`units` must be at least 1. Received: 0", "--units must be at least 1. Received: 0"),
        ("`num_layers=3` contradicts `init_from`", "--num-layers 3 contradicts --init-from"),
        ("leave out `documents=blank-line`", "leave out --documents blank-line"),
        ("leave out `column=first name`", "leave out --column first name"),
        ("`tied=True` or `tied=False`", "--tied or --no-tied"),
        ("`learning_rate=1e-05`", "--learning-rate 1e-05"),
        ("`column=` makes every row", "--column  makes every row"),
        ("Give one budget of `minutes`, `epochs` and `steps`.", "Give one budget of --minutes, --epochs and --steps."),
        ("a text without settings", "a text without settings"),
        ("one ` alone, and `two words` of code", "one ` alone, and `two words` of code"),
    ],
)
def test_settings_in_a_message_are_spelled_as_flags(message, spelled):
    assert with_flags(message) == spelled


# ---- a bad flag, and a bad field of a file


def test_a_bad_flag_is_named_as_a_flag(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "--units", "0"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "textgen: --units must be at least 1. Received: 0\n"


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("results", {"best_step": -1}, "`best_step` must be at least 0. Received: -1"),
        ("model", {"units": 0}, "`units` must be at least 1. Received: 0"),
        ("training", {"batch_size": None}, "`batch_size` must be a whole number. Received: None"),
    ],
)
@pytest.mark.parametrize("command", ["info", "verify", "sample"])
def test_a_bad_field_of_a_file_is_named_as_a_field(models_dir, capsys, command, part, change, said):
    path = models_dir / "tiny"
    change_json(path / model_directory.CONFIG, lambda config: config[part].update(change))
    reseal(path)
    with pytest.raises(ModelError) as caught:
        model_directory.load_model("tiny", models_dir)
    assert said in str(caught.value)
    with pytest.raises(SystemExit) as ended:
        main([command, "tiny", "--models-dir", str(models_dir)])
    shown = "".join(capsys.readouterr())
    assert ended.value.code == 1
    assert said in " ".join(shown.split())
    assert "--" not in shown.replace(str(models_dir), "")
