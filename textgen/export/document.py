"""A model without its weights, as JSON for programs in other languages: vocabulary, rules, tables of Unicode.

A string of digits has one for each id. So what stands for every id is found without a search, and takes a byte.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from textgen.config import SamplingConfig
from textgen.generation.barred import Barred
from textgen.store.model_directory import StoredModel
from textgen.tokenizers.form_tables import folded_symbols, joining_pairs, known_forms
from textgen.tokenizers.text_blocks import CODE_POINTS, code_points
from textgen.tokenizers.word import WordTokenizer
from textgen.tokenizers.word_classes import classes_of


def model_document(model: StoredModel) -> dict[str, Any]:
    """What a program needs to read prompts and to write, beside the network's weights."""
    tokenizer = model.tokenizer
    document: dict[str, Any] = {
        "config": model.record.model.to_json(),
        "level": tokenizer.level,
        "normalize": tokenizer.normalize,
        "symbols": tokenizer.symbols,  # ids from 0 on; then the words, then the end of a document
        "startId": tokenizer.start_id,
        "eodId": tokenizer.eod_id,
        "separator": tokenizer.document_separator,
        "continues": digits(tokenizer.continues),
        "continued": digits(tokenizer.continued),
        "forms": {symbol: form for symbol, form in known_forms(tokenizer.symbols).items() if symbol != form},
        "together": _together(tokenizer.symbols),
        "folds": folded_symbols() if tokenizer.normalize == "casefold" else {},
    }
    if isinstance(tokenizer, WordTokenizer):
        document["words"] = list(tokenizer.words)
        document["classes"] = digits(classes_of(code_points(tokenizer.symbols)))  # of each symbol
    if barred := Barred.of(tokenizer, SamplingConfig()):
        document["groups"] = digits(barred.groups)
        ids = range(tokenizer.vocabulary_size)
        document["barred"] = [digits(np.isin(ids, bars)) for bars in barred.ids]
    return document


def digits(values: Iterable[Any]) -> str:
    """Numbers from 0 to 9, or truths, as a string."""
    return "".join(str(int(value)) for value in values)


def _together(symbols: str) -> dict[str, str]:
    """What a letter and an accent, one after the other, are read as."""
    pairs = joining_pairs(symbols).items()
    return {chr(pair // CODE_POINTS) + chr(pair % CODE_POINTS): chr(one) for pair, one in pairs}
