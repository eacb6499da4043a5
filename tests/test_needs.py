"""What a training run takes, and which setting is named where that is too much."""

import pytest
from conftest import model_config, training_config

from textgen import memory
from textgen.config import ModelConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.training.needs import check_needs, needed_bytes


@pytest.mark.parametrize(
    ("model", "training", "measured"),
    [
        ({"vocabulary_size": 64, "embedding_size": 64, "units": 8, "num_layers": 1}, {"batch_size": 4}, 0.80e9),
        ({"vocabulary_size": 96, "embedding_size": 64}, {"batch_size": 64, "sequence_length": 1024}, 1.68e9),
        ({"vocabulary_size": 96, "embedding_size": 64, "units": 1024}, {}, 1.58e9),
        (
            {"vocabulary_size": 30_000, "embedding_size": 256, "units": 256, "tied": True},
            {"batch_size": 32, "sequence_length": 512, "num_sampled": 1024},
            1.80e9,
        ),
        (
            {"vocabulary_size": 30_000, "embedding_size": 256, "units": 256, "tied": True},
            {"batch_size": 32, "sequence_length": 256},
            1.80e9,
        ),
    ],
)
def test_the_estimate_is_about_what_was_measured(model, training, measured):
    assert needed_bytes(model_config(**model), training_config(**training)) == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(
    ("level", "model", "training", "named"),
    [
        ("char", {"units": 8192}, {}, "`units`, which is 8,192"),
        ("char", {"embedding_size": 65_536, "vocabulary_size": 5000}, {}, "`embedding_size`, which is 65,536"),
        ("word", {"vocabulary_size": 4_000_000, "tied": True}, {}, "`vocabulary_size`, which is 4,000,000"),
        ("char", {}, {"batch_size": 65_536}, "`batch_size`, which is 65,536"),
        ("char", {}, {"sequence_length": 65_536}, "`batch_size`, which is 16"),
    ],
)
def test_the_setting_is_named_that_makes_it_too_much(monkeypatch, level, model, training, named):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    with pytest.raises(SettingError) as caught:
        check_needs(level, model_config(**model), training_config(**training))
    assert str(caught.value).endswith(f"1.0 GB are free. Lower {named}")


def test_what_is_not_decided_counts_as_little(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    check_needs(None, ModelConfig(), TrainingConfig(sequence_length=65_536))
    with pytest.raises(SettingError, match="Lower `units`"):
        check_needs(None, ModelConfig(units=4096), TrainingConfig())
