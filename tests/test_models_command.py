"""`textgen models`: what it says of each model, and how that is laid out."""

import json
import os
import re

import pytest
from conftest import make_stored_model, make_word_tokenizer, write_stored_model
from damaging import write_run
from rich.cells import cell_len

from textgen.cli import main


@pytest.fixture
def models(tmp_path, capsys):
    """The standard output of `textgen models` for what is in `tmp_path`, without what comes with textgen."""

    def run_main(*arguments: str) -> list[str]:
        with pytest.raises(SystemExit) as ended:
            main(["models", *arguments, "--models-dir", str(tmp_path)])
        assert not ended.value.code
        return [line for line in capsys.readouterr().out.splitlines() if "comes with textgen" not in line]

    return run_main


def test_a_line_has_level_size_figure_date_and_corpus_in_columns_of_their_width(tmp_path, models):
    for name in ("夜の歌", "a"):
        path = write_stored_model(tmp_path, make_stored_model(), name)
    write_stored_model(tmp_path, make_stored_model(tokenizer=make_word_tokenizer("\n")), "long-name")
    write_run(tmp_path / "run", steps=(10,))
    os.utime(path / "manifest.json", (0, 86400 * 365.25 * 30))
    lines = models()
    assert [re.split(r"  +", line)[:3:2] for line in lines] == [
        ["a", "2 x 12 lstm, 0"],
        ["long-name", "2 x 12 lstm, 0"],
        ["run", "2 x 12 lstm, 0"],
        ["夜の歌", "2 x 12 lstm, 0"],
    ]
    assert [re.search("characters|words", line)[0] for line in lines] == ["characters", "words", *["characters"] * 2]
    assert len({cell_len(line[: line.index(" x 12")]) for line in lines}) == 1
    assert re.search(r"  2000-01-01 \d\d:\d\d  ", lines[0])
    assert "stopped at step" in lines[2]
    rows = json.loads(models("--json")[0])
    assert [row["level"] for row in rows[:4]] == ["char", "word", "char", "char"]
    assert rows[0]["made"].startswith("2000-01-01 ")


def test_a_damaged_model_has_its_problem_in_place_of_the_columns(tmp_path, models):
    write_stored_model(tmp_path, make_stored_model(), "good")
    (write_stored_model(tmp_path, make_stored_model(), "bad") / "config.json").unlink()
    bad, good = models()
    assert bad.startswith("bad   damaged: ")
    assert good.startswith("good  characters  ")
