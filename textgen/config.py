"""Every setting, as frozen dataclasses that are validated when they are made.

Each field is declared once, with its range and one sentence. The sentence is the flag's `--help`. The name is the flag,
the JSON key and the keyword. A field that is None leaves the choice to `recipe`, which fills it for the command line,
for Python and for `benchmark` alike; a config in a model file is always filled.
"""

import dataclasses

from textgen.cells import CELLS
from textgen.errors import SettingError
from textgen.schema import Settings, setting

MAX_LAYERS = 16
MAX_SIZE = 65_536  # units, embedding: a weight file of unknown origin cannot ask for more
MAX_POSITIONS = 2**22  # of a step
PRESET_NAMES = ("tiny", "small", "medium", "large")  # sizes of models, see `recipe.py`

# The one symbol that stands behind every document where a corpus is many short texts. Half of a surrogate pair: no
# valid text can hold it, so documents need no escaping.
END_OF_DOCUMENT = "\udc00"
NORMAL_FORMS = ("none", "nfc", "nfkc", "casefold")
STORAGES = ("float32", "float16", "int8")  # of the weights of a model, see `store/tensors.py`
DOCUMENT_KINDS = ("whole", "file", "line", "blank-line")
SUITS = "suits the text and the budget"  # what help says of a setting that `recipe` decides


@dataclasses.dataclass(frozen=True)
class TextConfig(Settings):
    """How a corpus is read and cut into tokens."""

    level: str = setting(
        None,
        "What a token is: a character or a word.",
        choices=("char", "word"),
        unset="word for the starter corpus, else char",
    )
    vocabulary_size: int | None = setting(
        None,
        "Size of a word model's vocabulary: all characters of the text and its most frequent words.",
        minimum=1,
        maximum=4_194_304,
        unset="30000, or all words that occur twice",
    )
    normalize: str = setting(
        "none", "Unicode form to convert every text to. The original form is lost.", choices=NORMAL_FORMS
    )
    documents: str = setting(
        "whole", "What counts as one document. The model learns where documents end.", choices=DOCUMENT_KINDS
    )
    column: str | None = setting(None, "Column of a CSV, TSV or JSONL file. Each of its cells is a document.")
    encoding: str = setting("utf-8", "Encoding of the corpus.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.column is not None and self.documents != "whole":
            raise SettingError(f"`column` makes every row a document; leave out `documents={self.documents}`")
        if self.vocabulary_size is not None and self.level != "word":
            raise SettingError(
                "`vocabulary_size` is for `level=word`; a character model has all characters of its text"
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


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Settings):
    """How a model is trained. With the corpus and a number of steps that stays as it is, it fixes every weight."""

    minutes: float | None = setting(None, "Budget: wall-clock minutes for the whole command.", above=0, unset="2")
    epochs: float | None = setting(None, "Budget instead of minutes: passes over the training part.", above=0)
    steps: int | None = setting(None, "Budget instead of minutes: optimizer steps.", minimum=1)
    sequence_length: int = setting(64, "Time steps that gradients flow back through (T).", minimum=1, maximum=65_536)
    batch_size: int = setting(None, "Streams of text in a batch (B).", minimum=1, maximum=65_536, unset=SUITS)
    learning_rate: float = setting(None, "Peak learning rate.", above=0, maximum=10.0, unset=SUITS)
    schedule: str = setting(
        "one-cycle",
        "Course of the learning rate: a rise to the peak and a fall to almost zero, or the peak throughout.",
        choices=("one-cycle", "constant"),
        is_new=True,
    )
    recurrent_initializer: str = setting(
        "orthogonal",
        "Start of the recurrent weights: orthogonal matrices, or uniform noise (Glorot).",
        choices=("orthogonal", "glorot"),
        is_new=True,
        is_starting=True,
    )
    forget_bias: float = setting(
        1.0,
        "Start of the bias of an LSTM's forget gates. A higher bias remembers longer.",
        minimum=-100,
        maximum=100,
        is_new=True,
        is_starting=True,
    )
    unigram_bias: bool = setting(
        True, "Start the output bias at the log frequency of each token, not at zero.", is_new=True, is_starting=True
    )
    dropout: float = setting(
        None,
        "Dropout on the outputs of each layer, one mask per batch; 0 is off.",
        minimum=0,
        maximum=0.95,
        unset=SUITS,
    )
    input_dropout: float = setting(
        0.0, "Dropout on the inputs of the first layer, one mask per batch; 0 is off.", minimum=0, maximum=0.95
    )
    embedding_dropout: float = setting(
        0.0, "Share of the tokens whose embeddings are dropped in a batch; 0 is off.", minimum=0, maximum=0.95
    )
    weight_drop: float = setting(
        0.0, "Dropout on the recurrent weights, one mask per batch; 0 is off.", minimum=0, maximum=0.95
    )
    activation_reg: float = setting(
        None,
        "Penalty on the mean square of the last layer's outputs (AR); 0 is off.",
        minimum=0,
        maximum=1000,
        unset=SUITS,
    )
    temporal_activation_reg: float = setting(
        0.0,
        "Penalty on the mean square change of these outputs between time steps (TAR); 0 is off.",
        minimum=0,
        maximum=1000,
    )
    state_reset: float = setting(
        0.02, "Probability that a stream starts a batch with an empty state; 0 is off.", minimum=0, maximum=1
    )
    num_sampled: int | None = setting(
        None,
        "Wrong tokens that a step scores beside the right one; 0 scores them all.",
        minimum=0,
        maximum=1_048_576,
        unset="0 up to 4096 ids, else 1024",
    )
    clip_norm: float = setting(
        1.0, "Largest norm of the gradient, which is scaled down beyond it; 0 is off.", minimum=0
    )
    weight_decay: float = setting(
        None, "Decoupled weight decay on matrices (AdamW); 0 is off.", minimum=0, maximum=10, unset=SUITS
    )
    ema: float = setting(
        0.0,
        "Decay of a moving average of the weights, which is evaluated and saved in their place; 0 is off.",
        minimum=0,
        maximum=0.99999,
    )
    val_fraction: float = setting(
        0.1,
        "Share of the corpus to validate on: the end of a text, or whole documents; 0 is none.",
        minimum=0,
        maximum=0.9,
    )
    seed: int = setting(0, "Seed of all random numbers in training.", minimum=0, maximum=2**31 - 1)
    checkpoint_every: int = setting(0, "Steps between checkpoints; 0 saves about every 30 seconds.", minimum=0)
    keep_checkpoints: int = setting(
        2, "Number of checkpoints to keep. Each holds the best weights so far, too.", minimum=1
    )
    storage: str = setting(
        None,
        "How the finished model's weights are stored: float32, float16, or 8 bits with a scale a row.",
        choices=STORAGES,
        unset="that of the model it begins with, else float32",
        before="float32",
    )
    sample_every: int = setting(0, "Steps between evaluations, each with a sample; 0 makes ten in a run.", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        budgets = [name for name in ("minutes", "epochs", "steps") if getattr(self, name) is not None]
        if len(budgets) > 1:
            raise SettingError(f"Give one budget of `minutes`, `epochs` and `steps`. Received: {', '.join(budgets)}")
        if (self.batch_size or 1) * self.sequence_length > MAX_POSITIONS:
            raise SettingError(
                f"`batch_size` times `sequence_length` may be {MAX_POSITIONS:,} at most, which a step holds in memory. "
                f"Received: {self.batch_size or 1:,} times {self.sequence_length:,}"
            )


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Settings):
    """How text is drawn. Settings act in the order of the fields, from new_words to min_p.

    A field with a value to be `tried` is a filter: it drops unlikely tokens, none of them at its default. Checks of an
    engine or an export set it to that value.
    """

    length: int = setting(
        300, "Number of characters to write, or of words with a word model.", minimum=1, maximum=2**31 - 1
    )
    new_words: bool = setting(False, "Allow a word model to spell words outside its vocabulary.")
    repeat_penalty: float = setting(
        1.0, "Divide the odds of recent tokens by this; 1 is off.", minimum=0.01, maximum=100
    )
    repeat_last_n: int = setting(
        64, "Number of recent tokens that the repeat penalty applies to.", minimum=1, maximum=4096
    )
    temperature: float = setting(
        0.8,
        "Randomness: lower is safer, higher is bolder, 0 always takes the likeliest token.",
        minimum=0,
        maximum=1000,
    )
    top_k: int = setting(0, "Keep only the k likeliest tokens; 0 is off.", minimum=0, maximum=2**31 - 1, tried=12)
    top_p: float = setting(
        1.0,
        "Keep only the smallest set of tokens with this total probability; 1 is off.",
        above=0,
        maximum=1,
        tried=0.9,
    )
    min_p: float = setting(
        0.0,
        "Drop tokens below this share of the likeliest token's probability; 0 is off.",
        minimum=0,
        maximum=1,
        tried=0.02,
    )
    seed: int = setting(
        0,
        "Seed of the random numbers: the same seed, prompt and settings give the same text.",
        minimum=0,
        maximum=2**63 - 1,
    )
    stop: tuple[str, ...] = setting((), "Stop before this text; may be repeated.")
    ignore_eod: bool = setting(False, "Continue with another document where one ends.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if "" in self.stop:
            raise SettingError("`stop` must not be empty. Received: ''")


FILTERS = {field.name: field for field in dataclasses.fields(SamplingConfig) if "tried" in field.metadata}


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
