"""How well a model reads a text before a step, and so whether a run should begin with the pretrained one.

The model decides, not a list of languages. It reads some passages of the text, and its bits per character there are
compared with a floor of the text itself: the bits of the best guess that knows only the character before. A text in
the model's language is far below that floor, a text in its script but in another language is above it, and so is
source code. Characters that the model does not know cost UNKNOWN_BITS each.
"""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textgen.corpus import CorpusReader
from textgen.corpus.describing import describe
from textgen.errors import ModelError
from textgen.evaluation import readable_blocks
from textgen.evaluation.one_pass import cross_entropy
from textgen.generation.numpy_engine import NumpyEngine
from textgen.records import ModelRecord
from textgen.store import model_directory, shipped
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import new_fitter
from textgen.tokenizers.normalizing import normalize_blocks

NAME = "english"
ADVICE = "Train without it: --init-from none"
READ_CHARACTERS = 1 << 21  # of the text's beginning, from which the passages are taken
NUM_PASSAGES = 8
PASSAGE = 800  # characters
MOST_TOKENS = {"char": 800, "word": 192}  # of a passage
WARM_UP = 32  # of them, which are read but not counted
UNKNOWN_BITS = 16.0
SHARE_OF_FLOOR = 0.95  # a model that reads a text at no less than this of its floor does not know its language
ROWS_AT_ONCE = 64
MOST_SPELLED = 4  # tokens of a model that reads a text well, for each of the run, which knows its words


class Reading(NamedTuple):
    """What a model makes of a text that it was not taught."""

    bits: float  # per character
    floor: float  # bits per character of the text, from the character before

    @property
    def share(self) -> float:
        """The bits as a share of the floor."""
        return self.bits / self.floor if self.floor else math.inf

    @property
    def suits(self) -> bool:
        """Whether a run on the text should begin with the model."""
        return self.share < SHARE_OF_FLOOR


def find() -> Path:
    """The directory of the pretrained model. Raises ModelError where it is missing."""
    path = shipped.find(NAME)
    if path is None:
        raise ModelError(f"the pretrained model {NAME} is missing from this installation. {ADVICE}")
    return path


def load() -> StoredModel:
    """The pretrained model, verified. Raises ModelError, which says how to go on without it."""
    with _advising():
        return model_directory.load_model(find(), Path())


def read_record() -> ModelRecord:
    """What the pretrained model says of itself, not verified. Raises ModelError as `load` does."""
    with _advising():
        return model_directory.read_record(find() / model_directory.CONFIG)


@contextlib.contextmanager
def _advising() -> Iterator[None]:
    try:
        yield
    except ModelError as problem:
        said = str(problem)
        raise ModelError(said if ADVICE in said else f"the pretrained model is damaged: {said}. {ADVICE}") from None


def read(model: StoredModel, reader: CorpusReader) -> Reading:
    """Let the model read passages from all over the beginning of a corpus. Raises CorpusError."""
    text = _beginning(reader)
    starts = np.linspace(0, max(0, len(text) - PASSAGE), NUM_PASSAGES if len(text) > NUM_PASSAGES * PASSAGE else 1)
    passages = [text[int(start) : int(start) + PASSAGE] for start in starts]
    bits, characters = 0.0, 0
    encoded = []
    for passage in passages:
        readable = "".join(readable_blocks([passage], model.tokenizer, lambda replaced: None))
        num_lost = len(passage) - len(readable)
        bits, characters = bits + max(0, num_lost) * UNKNOWN_BITS, characters + max(0, num_lost)
        encoded.append(model.tokenizer.encode(readable)[: MOST_TOKENS[model.tokenizer.level]])
    nats, counted = _nats(model, encoded)
    bits, characters = bits + nats / math.log(2), characters + counted
    return Reading(bits / max(1, characters), describe(text).bigram_bits)


def has_tokens(model: StoredModel, reader: CorpusReader, number: int) -> bool:
    """Whether a corpus has so many tokens for a run that begins with the model. Raises CorpusError.

    No more of it is read than shows that. The run knows words that the model spells, so it has fewer tokens.

    Args:
        reader: reads it as the run does.
    """
    config, found = reader.config, 0
    fitter, parts = new_fitter(config.level), []
    for block in normalize_blocks(reader.blocks(), config.normalize):
        found += len(model.tokenizer.encode("".join(readable_blocks([block], model.tokenizer, lambda replaced: None))))
        if found >= MOST_SPELLED * number:
            return True
        fitter.add(block)
        parts.append(block)
    return found >= number and len(fitter.finish(config, model.tokenizer).encode("".join(parts))) >= number


def _beginning(reader: CorpusReader) -> str:
    parts: list[str] = []
    length = 0
    for block in normalize_blocks(reader.blocks(), reader.config.normalize):
        parts.append(block)
        length += len(block)
        if length >= READ_CHARACTERS:
            break
    return "".join(parts)[:READ_CHARACTERS]


def _nats(model: StoredModel, passages: list[np.ndarray]) -> tuple[float, int]:
    """Nats of the tokens that count, all passages side by side, and their characters."""
    tokenizer, engine = model.tokenizer, NumpyEngine(model.record.model, model.weights)
    length = max(map(len, passages))
    token_ids = np.full((length + 1, len(passages)), tokenizer.start_id)  # [T + 1, B]
    for column, passage in enumerate(passages):
        token_ids[1 : len(passage) + 1, column] = passage
    is_counted = np.arange(length)[:, None] < [len(passage) for passage in passages]
    if length > 2 * WARM_UP:
        is_counted[:WARM_UP] = False
    state = np.zeros((2, engine.config.num_layers, len(passages), engine.config.units), np.float32)
    outputs = engine.run(token_ids[:-1], state[0], state[1])[is_counted]  # [N, F]
    targets = token_ids[1:][is_counted]
    nats = sum(cross_entropy(engine.logits(outputs[rows]), targets[rows]).sum() for rows in _blocks_of(len(targets)))
    return float(nats), sum(max(1, len(tokenizer.pieces[token_id])) for token_id in targets.tolist())


def _blocks_of(length: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, length, ROWS_AT_ONCE))
