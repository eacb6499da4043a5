"""The shape of a network."""

import dataclasses

from textgen.cells import CELLS
from textgen.schema import Settings, setting

MAX_LAYERS = 16
MAX_SIZE = 65_536  # units, embedding: a weight file of unknown origin cannot ask for more
PRESET_NAMES = ("tiny", "small", "medium", "large")  # sizes of models, see `recipe.py`
SUITS = "suits the text and the budget"  # what help says of a setting that `recipe` decides


@dataclasses.dataclass(frozen=True)
class ModelConfig(Settings):
    """The shape of a language model: enough to rebuild it and to know the shape of every weight."""

    vocabulary_size: int = setting(2, "Number of token ids (V).", minimum=2, maximum=4_194_304)
    cell: str = setting("lstm", "Type of the recurrent cell.", choices=tuple(CELLS))
    embedding_size: int = setting(None, "Size of a token's embedding (E).", minimum=1, maximum=MAX_SIZE, unset=SUITS)
    units: int = setting(None, "Units of each recurrent layer (H).", minimum=1, maximum=MAX_SIZE, unset=SUITS)
    num_layers: int = setting(2, "Number of recurrent layers (L).", minimum=1, maximum=MAX_LAYERS)
    tied: bool = setting(
        None, "Use the embeddings as weights of the output layer.", unset="on for words, off for characters"
    )
    skip: bool = setting(
        None, "Connect all layers to the output layer, not only the last.", unset="on for characters, off for words"
    )

    @property
    def features(self) -> int:
        """Numbers that the output layer sees of each position (F): H, or L * H with skip connections."""
        return self.units * (self.num_layers if self.skip else 1)
