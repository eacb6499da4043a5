"""How a model learns."""

import dataclasses

from textgen.config.model import SUITS
from textgen.cores import MOST_CORES
from textgen.errors import SettingError
from textgen.schema import Settings, setting

MAX_POSITIONS = 2**22  # of a step
STORAGES = ("float32", "float16", "int8")  # of the weights of a model, see `store/tensors.py`


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
        None,
        "Course of the learning rate: a short rise to the peak and a fall to almost zero, a longer rise and a straight "
        "fall, or the peak throughout.",
        choices=("one-cycle", "slanted", "constant"),
        unset="slanted to adapt a model of words that knows the text very well, else one-cycle",
        before="one-cycle",
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
        unset="0 up to 4096 ids, else 1024, or 2048 to adapt a model that knows the text well",
    )
    bias_rate: float = setting(
        None,
        "Learning rate of the output layer's bias, as a multiple of the others'.",
        minimum=0,
        maximum=1000,
        unset="20 to adapt a model of words that knows the text well, else 1",
        before=1.0,
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
    cores: int | None = setting(
        None,
        "Cores of the CPU that a run computes for. It keeps them, so that its bytes are the same on any machine.",
        minimum=1,
        maximum=MOST_CORES,
        is_new=True,
        unset="those there are when it begins",
    )
    storage: str = setting(
        None,
        "How the finished model's weights are stored: float32, float16, or 8 bits with a scale a row.",
        choices=STORAGES,
        unset="that of the model it begins with, else float32",
        before="float32",
    )
    copy_index: bool = setting(
        False,
        "Keep an index of the text with the model, for sample --max-copy and --mark-copied. Whoever gets the model can "
        "read the text in it.",
        is_new=True,
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
