"""`textgen info`: what it says of how a model is stored."""

import json
import re

import pytest
from conftest import make_stored_model, write_stored_model
from damaging import write_run

from textgen.cli import main
from textgen.config import STORAGES
from textgen.store.model_directory import WEIGHTS


@pytest.fixture
def info(tmp_path, capsys):
    """The standard output of `textgen info` for a model in `tmp_path`."""

    def run_main(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["info", *arguments, "--models-dir", str(tmp_path)])
        assert not ended.value.code
        return capsys.readouterr().out

    return run_main


@pytest.mark.parametrize("storage", STORAGES)
def test_info_says_how_the_weights_are_stored_and_how_large_they_are(tmp_path, info, storage):
    path = write_stored_model(tmp_path, make_stored_model(units=16, storage=storage))
    num_bytes = (path / WEIGHTS).stat().st_size
    shown = {"int8": "int8 with a scale a row"}.get(storage, storage)
    assert f"weights                        {shown}, {num_bytes:,} bytes\n" in info("tiny")
    document = json.loads(info("tiny", "--json"))
    assert (document["storage"], document["weights_bytes"]) == (storage, num_bytes)
    assert document["training"]["storage"] == storage


def test_many_bytes_are_said_in_megabytes(tmp_path, info):
    path = write_stored_model(tmp_path, make_stored_model(units=300, storage="int8"))
    assert f"int8 with a scale a row, {(path / WEIGHTS).stat().st_size / 1e6:.1f} MB\n" in info("tiny")


def test_info_says_of_a_checkpoint_how_that_is_stored(tmp_path, info):
    write_run(tmp_path / "run", steps=(10,))
    assert "weights                        float32, " in info("run")


def test_what_matters_stands_first_in_words_and_settings_are_on_or_off(tmp_path, info):
    write_stored_model(tmp_path, make_stored_model())
    lines = info("tiny").splitlines()
    assert lines[0] == "tiny, a model of characters"
    assert lines[1].startswith("  learned from ")
    groups = [line for line in lines if line and " " not in line]
    assert groups == ["results", "corpus", "model", "training", "text", "versions"]
    values = dict(
        re.split("  +", line.strip(), maxsplit=1) for line in lines if line.startswith("  ") and "   " in line
    )
    assert (values["unigram_bias"], values["tied"], values["input_dropout"]) == ("on", "off", "off")
    assert (values["dropout"], values["ema"]) == ("0.05", "off")
    assert (values["seed"], values["state_reset"]) == ("0", "0.02")
    assert not {"True", "False", "yes", "no"} & set(values.values())


def test_info_says_where_an_unfinished_run_was_stopped(tmp_path, info):
    write_run(tmp_path / "run", steps=(10,))
    assert re.match(r"run, a model of characters, stopped at step [\d,]+ of [\d,]+\n", info("run"))
