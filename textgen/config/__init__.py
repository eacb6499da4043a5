"""Every setting, as frozen dataclasses that are validated when they are made.

Each field is declared once, with its range and one sentence. The sentence is the flag's `--help`. The name is the flag,
the JSON key and the keyword. A field that is None leaves the choice to `recipe`, which fills it for the command line,
for Python and for `benchmark` alike; a config in a model file is always filled.

    text        how a corpus is read
    model       the shape of a network
    training    how it learns
    sampling    how it writes
    evaluation  how it adapts to a text while it is measured
    workers     how many processes train it together
"""

from textgen.config.evaluation import CacheConfig, DynamicConfig
from textgen.config.model import PRESET_NAMES, SUITS, ModelConfig
from textgen.config.sampling import FILTERS, SamplingConfig, with_seed
from textgen.config.text import END_OF_DOCUMENT, MODEL_ONLY, NORMAL_FORMS, TextConfig
from textgen.config.training import STORAGES, TrainingConfig
from textgen.config.workers import WorkersConfig

__all__ = [
    "END_OF_DOCUMENT",
    "FILTERS",
    "MODEL_ONLY",
    "NORMAL_FORMS",
    "PRESET_NAMES",
    "STORAGES",
    "SUITS",
    "CacheConfig",
    "DynamicConfig",
    "ModelConfig",
    "SamplingConfig",
    "TextConfig",
    "TrainingConfig",
    "WorkersConfig",
    "with_seed",
]
