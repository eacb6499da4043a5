"""How much memory a training run needs, about, and refusing one that the machine has not got.

Measured on a CPU as the peak of some steps: 1.68 GB for 2 x 128 units and batches of 64 x 1024, 1.58 GB for 2 x 1024
units and 16 x 64 (13 million parameters), 1.80 GB for 2 x 256 units and 30,000 words of which 1,024 are scored, 32 x
512, and 1.80 GB for all of them, 32 x 256. The estimates are 1.71, 1.58, 1.88 and 1.87 GB.
"""

from textgen.config import ModelConfig, TrainingConfig
from textgen.memory import check_fits
from textgen.store.model_directory import num_parameters

PROGRAM = 800_000_000  # TensorFlow, and a compiled step
BYTES_PER_PARAMETER = 52  # weights, best weights, slots, what a rehearsal puts back, gradients, a step's temporaries
KEPT = 12  # numbers that a layer of an LSTM keeps of each position and unit for the gradient
BYTES_PER_LOGIT = 12
MOST_LOGITS = 2**25  # held at once where all tokens are scored, see `model/output.py`: of two shards
LEAST_MODEL = {"units": 1, "embedding_size": 1, "tied": True, "skip": False}
LEAST_TRAINING = {"batch_size": 1, "num_sampled": 0}


def needed_bytes(model: ModelConfig, training: TrainingConfig) -> int:
    """About what training takes; every setting is decided."""
    positions = training.batch_size * training.sequence_length
    scored = positions * (training.num_sampled or 0) or min(positions * model.vocabulary_size, MOST_LOGITS)
    kept = 4 * positions * (KEPT * model.num_layers * model.units + model.embedding_size)
    return PROGRAM + BYTES_PER_PARAMETER * num_parameters(model) + kept + BYTES_PER_LOGIT * scored


def check_needs(level: str | None, model: ModelConfig, training: TrainingConfig) -> None:
    """Raise SettingError where training takes more than is free, naming the setting that makes it so.

    A setting that is not decided yet counts as the least that it can be. So much can be refused before a text is read.
    """
    model, training = model.filled(LEAST_MODEL), training.filled(LEAST_TRAINING)
    settings = ("units", "embedding_size", "vocabulary_size")[: 3 if level == "word" else 2]
    by_half = {name: (model.replace(**{name: max(2, getattr(model, name) // 2)}), training) for name in settings}
    for name in ("batch_size", "sequence_length"):
        by_half[name] = model, training.replace(**{name: max(1, getattr(training, name) // 2)})
    largest = min(by_half, key=lambda name: needed_bytes(*by_half[name]))
    value = getattr(training if hasattr(training, largest) else model, largest)
    check_fits(needed_bytes(model, training), "training", f"Lower `{largest}`, which is {value:,}")
