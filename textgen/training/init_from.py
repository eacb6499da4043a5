"""What a run takes from the model that it begins with: its shape, and weights for another vocabulary.

The old model is never changed. Under the new weights, old tokens keep their odds against each other in every context.
A new token's rows begin where the old model would have looked for it:

- A character whose other case, plain form or decomposition is known (`nearest_known`: É like é, else like E) begins
  with the rows of that form, and at first is no more likely than the form. In a text of capitals the model can spell
  at once.
- Any other character begins with the mean of all rows, so that its score is an average one. A little noise of their
  spread keeps several such characters apart.
- A word that is known in another form begins with the rows of that form: with or without the space before it, small or
  with a capital, with straight or typographic quotes.
- Any other word begins with the mean of the rows of its characters, which spelled it before: the layers above have read
  these in its place.
- The end of a document begins like a line end, where the old model read one whole text.

Biases hold the frequencies of tokens (`OutputLayer.start_from`). A new bias is the mean of those of the old tokens that
the text uses, or that of the form, plus the logarithm of how much more often the token occurs in the new text.

Measured with words: a model of Shakespeare's, given 9,438 words and 27 characters of Wikipedia's, begins at 6.43 nats
per token and is at 4.213 after 150 steps; with words from the mean of all rows at 7.11 and 4.247.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from textgen.config import TrainingConfig
from textgen.errors import SettingError
from textgen.records import CorpusRecord, ModelRecord, ParentRecord
from textgen.schema import fields_with_kinds
from textgen.sketch import read_before
from textgen.store.model_directory import StoredModel
from textgen.store.shipped import is_shipped
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.extending import former_ids
from textgen.tokenizers.unknown import nearest_known

NOISE = 0.1  # of the spread of the old rows
PARTING = ("documents", "document_separator", "column")  # what says where documents end
STRAIGHT = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
TYPOGRAPHIC = str.maketrans("'", "\u2019")


def inherited_settings(given: dict[str, Any], parent: StoredModel) -> dict[str, Any]:
    """`given`, with the settings that make the parent what it is: its shape, its level and its normal form.

    How the new text is read and learned is free. Where nothing is said of documents, it is read as the parent's was,
    unless that is a shipped model, whose text was another's.

    Raises:
        SettingError: a setting that was given is not the parent's.
    """
    if found := contradiction(given, parent.record, parent.name):
        setting, fact = found
        raise SettingError(f"{setting} contradicts `init_from`: {fact}. Leave it out, or train from nothing")
    reading = {}
    if not given.keys() & set(PARTING) and not is_shipped(parent.path):
        text = parent.record.text.to_json()
        reading = {name: text[name] for name in (*PARTING, "bad_rows")}
    return reading | given | _fixed_settings(parent.record)


def contradiction(given: Mapping[str, Any], record: ModelRecord, name: str) -> tuple[str, str] | None:
    """Which setting of `given` a run cannot have that begins with the model `name`, and what that has instead."""
    for field, value in _fixed_settings(record).items():
        if field in given and given[field] != value:
            return f"`{field}={given[field]}`", f"{name} has {value}"
    for starting, _ in fields_with_kinds(TrainingConfig):
        if starting.metadata["is_starting"] and starting.name in given:
            return f"`{starting.name}={given[starting.name]}`", f"{name} has its weights already"
    return None


def _fixed_settings(record: ModelRecord) -> dict[str, Any]:
    """What a model has in common with the one that it begins with."""
    model, text = record.model.to_json(), record.text.to_json()
    fixed = {name: value for name, value in model.items() if name != "vocabulary_size"}
    return fixed | {name: text[name] for name in ("level", "normalize")}


def parent_record(parent: StoredModel, tokenizer: Tokenizer, corpus: CorpusRecord) -> ParentRecord:
    """Where a model of `corpus` came from that has `tokenizer`. Raises ModelError: the parent's sketch is damaged."""
    is_new = former_ids(tokenizer, parent.tokenizer) < 0
    num_symbols = len(tokenizer.symbols)
    num_words = is_new[num_symbols:].sum() - bool(is_new[-1] and tokenizer.eod_id is not None)
    share = read_before(parent.record.corpus, corpus)
    return ParentRecord(parent.name, parent.sha256, int(is_new[:num_symbols].sum()), int(num_words), share)


def initial_weights(
    parent: StoredModel, tokenizer: Tokenizer, token_counts: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """The parent's weights, with the rows of the new tokenizer's tokens.

    Args:
        tokenizer: of the new text.
        token_counts: how often each id of `tokenizer` occurs in the text to be learned, [V].
        seed: of the noise.

    Returns:
        Float32 arrays, as `weight_shapes` lists them for the vocabulary of `tokenizer`.
    """
    old = parent.weights
    rows = _Rows(parent.tokenizer, tokenizer, seed)
    weights = dict(old)
    weights["embedding"] = rows.of(old["embedding"])
    if "output.kernel" in old:
        weights["output.kernel"] = np.ascontiguousarray(rows.of(old["output.kernel"].T).T)
    weights["output.bias"] = rows.biases(old["output.bias"], token_counts)
    return weights


class _Rows:
    """Arrays by id of an old tokenizer, as arrays by id of a new one."""

    def __init__(self, old: Tokenizer, new: Tokenizer, seed: int):
        self.former = former_ids(new, old)  # int32 [V]
        self.is_old = self.former >= 0
        self.like = _nearest_ids(new, np.flatnonzero(~self.is_old), self.is_old)
        self._seed = seed

    def of(self, old: np.ndarray) -> np.ndarray:
        """Float32 [V, D], of `old` [V_old, D]."""
        mean, spread = old.mean(axis=0, dtype=np.float64), old.std(axis=0, dtype=np.float64)
        draw = np.random.default_rng(self._seed)
        rows = np.empty((len(self.former), old.shape[1]), np.float32)
        rows[self.is_old] = old[self.former[self.is_old]]
        for token_id, (like, _) in self.like.items():  # characters before words, which are made of them
            rows[token_id] = rows[like].mean(axis=0) if like else mean + NOISE * spread * draw.normal(size=mean.shape)
        return rows

    def biases(self, old: np.ndarray, token_counts: np.ndarray) -> np.ndarray:
        """Float32 [V], of `old` [V_old]."""
        shares = np.log(np.asarray(token_counts, np.float64) + 1)  # up to a constant
        biases = np.empty(len(self.former))
        biases[self.is_old] = old[self.former[self.is_old]]
        is_used = self.is_old & (np.asarray(token_counts) > 0)
        usual = np.flatnonzero(is_used if is_used.any() else self.is_old)
        for token_id, (like, is_form) in self.like.items():
            others = like if is_form else usual
            gain = shares[token_id] - shares[others].mean()
            biases[token_id] = biases[others].mean() + (min(gain, 0.0) if is_form else gain)
        return biases.astype(np.float32)


def _nearest_ids(tokenizer: Tokenizer, new_ids: np.ndarray, is_old: np.ndarray) -> dict[int, tuple[list[int], bool]]:
    """Of each new id, ascending, those that it is like, and whether they are a form of it.

    None where nothing is known of it.
    """
    pieces = tokenizer.pieces
    place = {piece: token_id for token_id, piece in enumerate(pieces)}
    known = {symbol for symbol in tokenizer.symbols if is_old[place[symbol]]}
    found: dict[int, tuple[list[int], bool]] = {}
    for token_id in new_ids.tolist():
        piece = pieces[token_id]
        if token_id == tokenizer.eod_id:
            found[token_id] = ([place["\n"]] if "\n" in known else [], False)
        elif len(piece) == 1:
            form = [place[symbol] for symbol in nearest_known(piece, known)]
            found[token_id] = (form, bool(form))
        else:
            forms = (place[form] for form in _forms(piece) if is_old[place.get(form, token_id)])
            nearest = next(forms, None)
            spelled = [place[symbol] for symbol in piece]
            found[token_id] = (spelled, False) if nearest is None else ([nearest], True)
    return found


def _forms(word: str) -> Iterator[str]:
    """Other forms of a word that mean nearly the same, the nearest first."""
    bare = word.lstrip(" ")
    cases = dict.fromkeys((bare, bare.lower(), bare.capitalize()))
    for case in cases:
        for quoted in dict.fromkeys((case, case.translate(STRAIGHT), case.translate(TYPOGRAPHIC))):
            for form in (f" {quoted}", quoted):
                if form != word:
                    yield form
