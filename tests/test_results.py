"""The evaluations of a run in a file, for those who look on."""

import json
import os

import pytest
from test_terminal import ROW

from textgen.store import model_directory
from textgen.training.results import Metrics


def steps_in(path) -> list[int]:
    return [json.loads(line)["step"] for line in (path / model_directory.METRICS).read_text().splitlines()]


def test_each_evaluation_is_added_and_a_run_that_goes_on_writes_them_anew(tmp_path):
    metrics = Metrics(tmp_path)
    for number in (1, 2, 3):
        metrics.add(ROW.replace(step=number))
        assert steps_in(tmp_path) == [*range(1, number + 1)]
    metrics.restart((ROW.replace(step=1),))
    metrics.add(ROW.replace(step=2))
    assert steps_in(tmp_path) == [1, 2]


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_stands_in_its_place_is_not_written_to_and_costs_no_run(tmp_path, kind):
    run, letter = tmp_path / "run", tmp_path / "a letter"
    run.mkdir()
    letter.write_text("somebody else's")
    path = run / model_directory.METRICS
    {"link": lambda: path.symlink_to(letter), "pipe": lambda: os.mkfifo(path), "directory": path.mkdir}[kind]()
    Metrics(run).add(ROW)
    assert letter.read_text() == "somebody else's"
    Metrics(run).restart((ROW,))
    assert letter.read_text() == "somebody else's"
    assert os.listdir(run) == [model_directory.METRICS]
    assert kind == "directory" or steps_in(run) == [ROW.step]


def test_a_run_whose_directory_is_gone_goes_on(tmp_path):
    metrics = Metrics(tmp_path / "gone")
    metrics.add(ROW)
    metrics.restart((ROW,))
    assert os.listdir(tmp_path) == []
