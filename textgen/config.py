"""Every setting, as frozen dataclasses that are validated when they are made.

What goes in: flags, keyword arguments or JSON. What comes out: values that the rest of the code trusts. Each field
is declared once, with its range and one sentence; the same sentence is the flag's `--help` and the same name is the
flag, the JSON key and the keyword.
"""

import dataclasses
from typing import Any

from textgen.cells import CELLS
from textgen.errors import SettingError
from textgen.settings import Settings, setting

MAX_LAYERS = 16
MAX_SIZE = 65_536  # units, embedding: a weight file from a stranger cannot ask for more

# The one symbol that stands behind every document where a corpus is many short texts. Half of a surrogate pair: no
# valid text can hold it, so documents need no escaping.
END_OF_DOCUMENT = "\udc00"

NORMAL_FORMS = ("none", "nfc", "nfkc", "casefold")
DOCUMENT_KINDS = ("whole", "file", "line", "blank-line")


@dataclasses.dataclass(frozen=True)
class TextConfig(Settings):
    """How a corpus is read and cut into tokens."""

    level: str = setting("char", "What a token is: a character or a word.", choices=("char", "word"))
    vocabulary_size: int | None = setting(
        None,
        "Token ids of a word model: every character of the text, and its most frequent words.",
        minimum=1,
        maximum=4_194_304,
    )
    normalize: str = setting(
        "none", "Unicode form that texts are brought to, which loses what they were.", choices=NORMAL_FORMS
    )
    documents: str = setting(
        "whole", "What a document is; a model of documents learns where they end.", choices=DOCUMENT_KINDS
    )
    column: str | None = setting(None, "Column of CSV, TSV or JSONL files whose cells are the documents.")
    encoding: str = setting("utf-8", "Encoding of the corpus.")

    def __post_init__(self):
        super().__post_init__()
        if self.column is not None and self.documents != "whole":
            raise SettingError(f"--column makes every row a document; leave out --documents {self.documents}")
        if self.vocabulary_size is not None and self.level != "word":
            raise SettingError(
                "--vocabulary-size is for --level word; a character model has all characters of its text"
            )

    @property
    def has_documents(self) -> bool:
        """Whether the corpus is many texts, each with an end that a model learns."""
        return self.document_separator is not None

    @property
    def document_separator(self) -> str | None:
        """What is written between two documents when text goes on; None where there are none."""
        if self.column is not None or self.documents == "line":
            return "\n"
        return None if self.documents == "whole" else "\n\n"


@dataclasses.dataclass(frozen=True)
class ModelConfig(Settings):
    """The shape of a language model: enough to rebuild it and to know the shape of every weight."""

    vocabulary_size: int = setting(2, "Number of token ids (V).", minimum=2, maximum=4_194_304)
    cell: str = setting("lstm", "Recurrent cell.", choices=tuple(CELLS))
    embedding_size: int = setting(128, "Size of a token's embedding (E).", minimum=1, maximum=MAX_SIZE)
    units: int = setting(128, "Recurrent units per layer (H).", minimum=1, maximum=MAX_SIZE)
    num_layers: int = setting(2, "Recurrent layers (L).", minimum=1, maximum=MAX_LAYERS)
    tied: bool = setting(False, "Whether the output layer scores tokens with their embeddings.")
    skip: bool = setting(False, "Whether the output layer sees all layers' outputs, not the last one's alone.")

    @property
    def features(self) -> int:
        """Numbers that the output layer sees of each position (F): H, or L * H with skip connections."""
        return self.units * (self.num_layers if self.skip else 1)


MAX_POSITIONS = 2**22  # of a step
STARTING = ("recurrent_initializer", "forget_bias", "unigram_bias")  # settings of weights before the first step


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Settings):
    """How a model is trained. With the corpus and a number of steps that stays as it is, it fixes every weight."""

    minutes: float | None = setting(2.0, "Budget: wall-clock minutes for the whole command.", above=0)
    epochs: float | None = setting(None, "Budget instead of minutes: passes over the training part.", above=0)
    steps: int | None = setting(None, "Budget instead of minutes: optimizer steps.", minimum=1)
    sequence_length: int = setting(64, "Time steps (T) that gradients flow back through.", minimum=1, maximum=65_536)
    batch_size: int = setting(16, "Parallel streams (B) cut from the corpus.", minimum=1, maximum=65_536)
    learning_rate: float = setting(0.006, "Peak of the schedule.", above=0, maximum=10.0)
    schedule: str = setting(
        "one-cycle",
        "How the learning rate goes: up to its peak and down to nearly nothing, or the same in every step.",
        choices=("one-cycle", "constant"),
        is_new=True,
    )
    recurrent_initializer: str = setting(
        "orthogonal",
        "What recurrent weights start as: what keeps the length of a state, or uniform noise.",
        choices=("orthogonal", "glorot"),
        is_new=True,
    )
    forget_bias: float = setting(
        1.0,
        "What the bias of an LSTM's forget gates starts at: the higher, the longer it remembers.",
        minimum=-100,
        maximum=100,
        is_new=True,
    )
    unigram_bias: bool = setting(
        True, "Whether a model starts by predicting how frequent each symbol is, not all of them alike.", is_new=True
    )
    dropout: float = setting(
        0.05, "Share of each layer's outputs dropped, one mask per batch; 0 is off.", minimum=0, maximum=0.95
    )
    input_dropout: float = setting(
        0.0, "Share of what the first layer reads dropped, one mask per batch; 0 is off.", minimum=0, maximum=0.95
    )
    embedding_dropout: float = setting(
        0.0, "Share of the symbols whose embedding is dropped, drawn per batch; 0 is off.", minimum=0, maximum=0.95
    )
    weight_drop: float = setting(
        0.0, "Share of the recurrent weights dropped, one mask per batch; 0 is off.", minimum=0, maximum=0.95
    )
    activation_reg: float = setting(
        0.0, "Penalty on the mean square of the last layer's outputs (AR); 0 is off.", minimum=0, maximum=1000
    )
    temporal_activation_reg: float = setting(
        0.0, "Penalty on their mean square change between time steps (TAR); 0 is off.", minimum=0, maximum=1000
    )
    state_reset: float = setting(
        0.02, "Chance that a stream begins a batch with an empty memory; 0 is off.", minimum=0, maximum=1
    )
    num_sampled: int | None = setting(
        None,
        "Wrong tokens that a step compares the right one with; 0 is all of them.",
        minimum=0,
        maximum=1_048_576,
    )
    clip_norm: float = setting(1.0, "Largest global norm of the gradient; 0 is off.", minimum=0)
    weight_decay: float = setting(0.0, "Decoupled weight decay on matrices (AdamW); 0 is off.", minimum=0, maximum=10)
    ema: float = setting(
        0.0,
        "Decay of an average of the weights, which is what is evaluated and saved; 0 is off.",
        minimum=0,
        maximum=0.99999,
    )
    val_fraction: float = setting(
        0.1, "Share of the corpus kept for validation: its end, or whole documents; 0 is none.", minimum=0, maximum=0.9
    )
    seed: int = setting(0, "Seed of every random number in training.", minimum=0, maximum=2**31 - 1)
    checkpoint_every: int = setting(0, "Steps between checkpoints; 0 means about every 30 seconds.", minimum=0)
    keep_checkpoints: int = setting(
        2, "How many checkpoints a run keeps, the newest; each holds the best weights so far, too.", minimum=1
    )
    sample_every: int = setting(0, "Steps between evaluations, each with a sample; 0 means ten in a run.", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        budgets = [name for name in ("minutes", "epochs", "steps") if getattr(self, name) is not None]
        if len(budgets) != 1:
            raise SettingError(f"Give exactly one budget of --minutes, --epochs and --steps. Received: {budgets}")
        if self.batch_size * self.sequence_length > MAX_POSITIONS:
            raise SettingError(
                f"--batch-size times --sequence-length may be {MAX_POSITIONS:,} at most, which a step holds in memory. "
                f"Received: {self.batch_size:,} times {self.sequence_length:,}"
            )


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Settings):
    """How text is drawn. Filters act in the order of the fields, from new_words to min_p."""

    length: int = setting(300, "Characters to write; words for a word model.", minimum=1, maximum=2**31 - 1)
    new_words: bool = setting(False, "Let a word model spell words that are not in its vocabulary.")
    repeat_penalty: float = setting(1.0, "Divides the odds of recent symbols; 1 is off.", minimum=0.01, maximum=100)
    repeat_last_n: int = setting(64, "How many recent symbols the repeat penalty looks at.", minimum=1, maximum=4096)
    temperature: float = setting(
        0.8,
        "Above 1 is more surprising, below 1 safer; 0 always takes the likeliest.",
        minimum=0,
        maximum=1000,
    )
    top_k: int = setting(0, "Draw from the k likeliest only; 0 is off.", minimum=0, maximum=2**31 - 1)
    top_p: float = setting(1.0, "Draw from the smallest set that holds this probability; 1 is off.", above=0, maximum=1)
    min_p: float = setting(0.0, "Drop what has less than this share of the likeliest; 0 is off.", minimum=0, maximum=1)
    seed: int = setting(0, "Seed: the same seed, prompt and settings give the same text.", minimum=0, maximum=2**63 - 1)
    stop: tuple[str, ...] = setting((), "Stop before this text appears; may be repeated.")
    ignore_eod: bool = setting(False, "Go on with another document where one ends.")

    def __post_init__(self):
        super().__post_init__()
        if "" in self.stop:
            raise SettingError("--stop must not be empty. Received: ''")


@dataclasses.dataclass(frozen=True)
class DynamicConfig(Settings):
    """How a model's weights follow the text that it is measured on."""

    dynamic_rate: float = setting(
        0.001, "Size of a step of the weights; 0 leaves them as they are.", minimum=0, maximum=1e38
    )
    dynamic_segment: int = setting(
        20, "Tokens that are predicted before the weights take a step on them.", minimum=1, maximum=65_536
    )
    dynamic_decay: float = setting(
        0.0, "Share of the way back to the model's own weights that each step goes.", minimum=0, maximum=1
    )


@dataclasses.dataclass(frozen=True)
class CacheConfig(Settings):
    """How the tokens that followed similar states change a model's probabilities."""

    cache_size: int = setting(2000, "Positions that the cache remembers.", minimum=1, maximum=1_000_000)
    cache_theta: float = setting(0.8, "How much more closer states count; 0 counts all alike.", minimum=0, maximum=1000)
    cache_weight: float = setting(
        0.2, "Share of the cache in the mixture; the model keeps the rest.", minimum=0, maximum=0.99
    )


PRESET_NAMES = ("tiny", "small", "medium", "large")  # sizes of models, see `sizing.py`

# What suits a level better than the fields' defaults; a setting that is given overrules both.
LEVEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "char": {},
    "word": {"tied": True, "embedding_size": 256, "units": 256, "dropout": 0.2},
}
