"""What a run takes from the model that it begins with: its settings, and weights for a vocabulary that may have grown.

The old model is never changed. Under the new weights, old tokens keep their odds against each other in every context.
A new token's rows begin where the old model would have looked for it:

- A character whose other case, plain form or decomposition is known (`nearest_known`: É like é, else like E) begins
  with the rows of that form, and at first is no more likely than the form. In a text of capitals the model can spell
  at once.
- Any other character begins with the mean of all rows, so that its score is an average one. A little noise of their
  spread keeps several such characters apart.
- A word begins with the mean of the rows of its characters, which spelled it before: the layers above have read these
  in its place.

Biases hold the frequencies of tokens (`OutputLayer.start_from`). A new bias is the mean of the old ones, or that of the
form, plus the logarithm of how much more often the token occurs in the new text.

Measured with words: a model of Shakespeare's, given 9,438 words and 27 characters of Wikipedia's, begins at 6.43 nats
per token and is at 4.213 after 150 steps; with words from the mean of all rows at 7.11 and 4.247.
"""

from typing import Any

import numpy as np

from textgen.config import TextConfig, TrainingConfig
from textgen.errors import SettingError
from textgen.records import ParentRecord
from textgen.schema import fields_with_kinds
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.extending import former_ids
from textgen.tokenizers.unknown import nearest_known

NOISE = 0.1  # of the spread of the old rows


def inherited_settings(given: dict[str, Any], parent: StoredModel) -> dict[str, Any]:
    """`given`, with the settings that make the parent what it is: its shape, its level, its normal form, its documents.

    How the new text is read and learned is free (`column`, `encoding`, `learning_rate`).

    NOTE: a lower learning rate than usual is often advised here, but did not help: after 400 steps on 100 kB of tales,
    a model of Shakespeare's is at 1.468, 1.419, 1.387, 1.375 and 1.369 nats per character with rates of 0.001, 0.002,
    0.004, 0.006 (the default) and 0.01, where training from nothing is at 1.902. A rate that harms costs nothing: a run
    keeps the weights that it began with until there are better ones.

    Raises:
        SettingError: a setting that was given is not the parent's.
    """
    model, text = parent.record.model.to_json(), parent.record.text.to_json()
    fixed = {name: value for name, value in model.items() if name != "vocabulary_size"}
    fixed |= {name: text[name] for name in ("level", "normalize")}
    for name, value in fixed.items():
        if name in given and given[name] != value:
            raise SettingError(_contradiction(name, given[name], parent.name, f"has {value}"))
    for field, _ in fields_with_kinds(TrainingConfig):
        if field.metadata["is_starting"] and field.name in given:
            raise SettingError(_contradiction(field.name, given[field.name], parent.name, "has its weights already"))
    reading = {name: given[name] for name in ("documents", "column") if name in given}
    if not reading:
        reading = {name: text[name] for name in ("documents", "column")}
    elif TextConfig(**reading).document_separator != parent.tokenizer.document_separator:
        name = next(iter(reading))
        of_text = {None: "of one whole text", "\n": "of lines or rows", "\n\n": "of texts with a blank line between"}
        kind = of_text[parent.tokenizer.document_separator]
        raise SettingError(_contradiction(name, reading[name], parent.name, f"is a model {kind}"))
    return given | fixed | reading


def _contradiction(name: str, value: Any, model: str, fact: str) -> str:
    return f"`{name}={value}` contradicts `init_from`: {model} {fact}. Leave it out, or train from nothing"


def parent_record(parent: StoredModel, tokenizer: Tokenizer) -> ParentRecord:
    """Where a model came from that has `tokenizer`, which knows all that the parent's does."""
    num_symbols = len(tokenizer.symbols) - len(parent.tokenizer.symbols)
    num_ids = tokenizer.vocabulary_size - parent.tokenizer.vocabulary_size
    return ParentRecord(parent.name, parent.sha256, num_symbols, num_ids - num_symbols)


def initial_weights(
    parent: StoredModel, tokenizer: Tokenizer, token_counts: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """The parent's weights, with rows for the tokens that it lacks.

    Args:
        tokenizer: knows all that the parent's does.
        token_counts: how often each id of `tokenizer` occurs in the text to be learned, [V].
        seed: of the noise.

    Returns:
        Float32 arrays, as `weight_shapes` lists them for the vocabulary of `tokenizer`.
    """
    old = parent.weights
    grown = _Grown(parent.tokenizer, tokenizer, seed)
    weights = dict(old)
    weights["embedding"] = grown.rows(old["embedding"])
    if "output.kernel" in old:
        weights["output.kernel"] = np.ascontiguousarray(grown.rows(old["output.kernel"].T).T)
    weights["output.bias"] = grown.biases(old["output.bias"], token_counts)
    return weights


class _Grown:
    """Arrays by id of an old tokenizer, as arrays by id of one that knows more."""

    def __init__(self, old: Tokenizer, new: Tokenizer, seed: int):
        self.former = former_ids(new, old)  # int32 [V]
        self.is_old = self.former >= 0
        self.like = _nearest_ids(new, np.flatnonzero(~self.is_old), self.is_old)
        self.num_symbols = len(new.symbols)
        self._seed = seed

    def rows(self, old: np.ndarray) -> np.ndarray:
        """Float32 [V, D], of `old` [V_old, D]."""
        mean, spread = old.mean(axis=0, dtype=np.float64), old.std(axis=0, dtype=np.float64)
        draw = np.random.default_rng(self._seed)
        rows = np.empty((len(self.former), old.shape[1]), np.float32)
        rows[self.is_old] = old[self.former[self.is_old]]
        for token_id, like in self.like.items():  # characters before words, which are made of them
            rows[token_id] = rows[like].mean(axis=0) if like else mean + NOISE * spread * draw.normal(size=mean.shape)
        return rows

    def biases(self, old: np.ndarray, token_counts: np.ndarray) -> np.ndarray:
        """Float32 [V], of `old` [V_old]."""
        shares = np.log(np.asarray(token_counts, np.float64) + 1)  # up to a constant
        biases = np.empty(len(self.former))
        biases[self.is_old] = old[self.former[self.is_old]]
        all_old = np.flatnonzero(self.is_old)
        for token_id, like in self.like.items():
            is_form = bool(like) and token_id < self.num_symbols
            others = like if is_form else all_old
            gain = shares[token_id] - shares[others].mean()
            biases[token_id] = biases[others].mean() + (min(gain, 0.0) if is_form else gain)
        return biases.astype(np.float32)


def _nearest_ids(tokenizer: Tokenizer, new_ids: np.ndarray, is_old: np.ndarray) -> dict[int, list[int]]:
    """Of each new id, ascending, those of the characters that it is like; none where nothing is known of it."""
    place = {symbol: token_id for token_id, symbol in enumerate(tokenizer.symbols)}
    known = {symbol for symbol, token_id in place.items() if is_old[token_id]}
    pieces, found = tokenizer.pieces, {}
    for token_id in new_ids.tolist():
        piece = pieces[token_id]
        spelled = nearest_known(piece, known) if len(piece) == 1 else piece
        found[token_id] = [place[symbol] for symbol in spelled]
    return found
