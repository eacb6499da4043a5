"""How a model adapts to a text while it is measured."""

import dataclasses

from textgen.schema import Settings, setting


@dataclasses.dataclass(frozen=True)
class DynamicConfig(Settings):
    """How a model's weights follow the text that it is measured on."""

    dynamic_rate: float = setting(
        0.001, "Size of a step of the weights; 0 leaves them unchanged.", minimum=0, maximum=1e38
    )
    dynamic_segment: int = setting(
        20, "Tokens that are predicted between two steps of the weights.", minimum=1, maximum=65_536
    )
    dynamic_decay: float = setting(
        0.0,
        "How far each step pulls the weights back to those of the model; 0 is off, 1 all the way.",
        minimum=0,
        maximum=1,
    )


@dataclasses.dataclass(frozen=True)
class CacheConfig(Settings):
    """How a cache of the tokens that followed similar states changes a model's probabilities."""

    cache_size: int = setting(2000, "Positions that the cache remembers.", minimum=1, maximum=1_000_000)
    cache_theta: float = setting(
        0.8, "How strongly the cache favours similar states; 0 treats all states alike.", minimum=0, maximum=1000
    )
    cache_weight: float = setting(
        0.2, "Weight of the cache in the mixture; the model has the rest.", minimum=0, maximum=0.99
    )
