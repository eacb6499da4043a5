"""What only tests want at once: files, a corpus in memory, its parts, a tokenizer of it, the nats of some tokens."""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from textgen.config import CacheConfig, TextConfig
from textgen.corpus import CorpusReader, open_corpus
from textgen.dataset.split import Split
from textgen.evaluation.one_pass import nats_of_tokens
from textgen.tokenizers import CharacterTokenizer, new_fitter


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A whole text, and what its reader says of it; `sha256` is of the text in UTF-8."""

    name: str
    sources: tuple[str, ...]
    text: str
    sha256: str
    notes: tuple[str, ...]


def write(path: str, content: bytes | str) -> str:
    """A file, in folders that are made for it; returns its path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_corpus(sources, *, encoding: str = "auto", stdin=None, config: TextConfig | None = None) -> Corpus:
    """Read all of `sources`, which are those of `open_corpus`; `config` wins over `encoding`."""
    return whole(open_corpus(sources, config or TextConfig(encoding=encoding), stdin=stdin))


def whole(reader: CorpusReader) -> Corpus:
    """All that `reader` reads."""
    text = "".join(reader.blocks())
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Corpus(reader.name, reader.sources, text, digest, reader.notes)


def split_text(text: str, val_fraction: float) -> tuple[str, str]:
    """The training part and the validation part of a text without documents."""
    num_train = Split(val_fraction).num_train_characters(len(text))
    return text[:num_train], text[num_train:]


def fit_characters(texts: str | Iterable[str]) -> CharacterTokenizer:
    """The tokenizer that knows every symbol of `texts`, which are one text."""
    fitter = new_fitter("char")
    for text in [texts] if isinstance(texts, str) else texts:
        fitter.add(text)
    return fitter.finish(TextConfig())


def surprisals(token_ids: np.ndarray, engine, *progress) -> np.ndarray:
    """Nats of every token after the first, float64 [N - 1], in one pass that carries the state from zero."""
    return nats_of_tokens(token_ids, engine, *progress)[0]


def cached_surprisals(token_ids: np.ndarray, engine, config: CacheConfig) -> np.ndarray:
    """Those of the model mixed with a cache, which is empty at the beginning."""
    return nats_of_tokens(token_ids, engine, config=config)[1]
