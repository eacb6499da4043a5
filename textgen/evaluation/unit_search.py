"""Units whose state carries something that people can name: how far the line has come, whether a quotation is open.

The score of a unit for a property is the rank correlation of its state and the property over the text, from -1 to 1. A
unit is looked for on the first half of the text. It is found where its score on the second half, which took no part in
the choice, has the same sign, is at least LEAST, and is at least MARGIN above that of units of untrained models of the
same shape that were chosen in the same way. For whoever looks at hundreds of units finds one that fits by chance, and a
network that has learned nothing also remembers what it has just read.

Source of the idea: Karpathy, Johnson and Fei-Fei 2015, "Visualizing and Understanding Recurrent Networks".
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from textgen.config import END_OF_DOCUMENT, ModelConfig
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.recording import record
from textgen.store.model_directory import weight_shapes
from textgen.tokenizers import Tokenizer

LEAST, MARGIN = 0.5, 0.1
NUM_UNTRAINED = 3
NUM_FOUND = 3  # units of a property that are named at the most
LEAST_TOKENS, MOST_TOKENS = 1000, 12_000
LEAST_CHANGES = 6  # in each half; of a quotation that is opened once, nothing can be learned
OPENING, CLOSING = "([{", ")]}"


class FoundUnit(NamedTuple):
    """A unit that carries a property."""

    layer: int  # both from 0
    unit: int
    score: float  # on the half of the text that took no part in the choice
    untrained: float  # the best of untrained models on that half


class Property(NamedTuple):
    """What was looked for, and what was found."""

    name: str
    units: tuple[FoundUnit, ...]  # the best first
    reason: str = ""  # why none was looked for


def find_units(
    engine: NumpyEngine, tokenizer: Tokenizer, token_ids: np.ndarray, states: list[np.ndarray]
) -> list[Property]:
    """What was found for each property.

    Args:
        token_ids: int [T], of which the first is the start token.
        states: of each layer [T, H] after these tokens, the memory cells where there are some.
    """
    text, ends = _text_of(tokenizer, token_ids[1:])
    if len(token_ids) <= LEAST_TOKENS:
        reason = f"the text is too short: {len(token_ids) - 1:,} tokens, where at least {LEAST_TOKENS:,} are needed"
        return [Property(name, (), reason) for name in PROPERTIES]
    halves = np.array_split(np.arange(len(ends)), 2)
    trained = [_ranked(np.concatenate([layer[1:] for layer in states], axis=1)[half]) for half in halves]
    untrained = [[_ranked(values[half]) for half in halves] for values in _untrained(engine.config, token_ids)]
    found = []
    for name, values_of in PROPERTIES.items():
        values = values_of(text)[ends]
        if any(np.count_nonzero(np.diff(values[half])) < LEAST_CHANGES for half in halves):
            found.append(Property(name, (), "the text has too little of it to tell"))
            continue
        wanted = [_ranked(values[half, None])[:, 0] for half in halves]
        by_chance = max(_chosen(model, wanted, 1)[0][1] for model in untrained)
        units = [
            FoundUnit(*divmod(unit, engine.config.units), score, by_chance)
            for unit, score in _chosen(trained, wanted, NUM_FOUND)
            if score >= max(LEAST, by_chance + MARGIN)
        ]
        found.append(Property(name, tuple(sorted(units, key=lambda unit: -unit.score))))
    return found


def _chosen(halves: list[np.ndarray], wanted: list[np.ndarray], most: int) -> list[tuple[int, float]]:
    """The units that fit best on the first half, and their scores on the second; negative where the sign turned."""
    first, second = (values.T @ ranks for values, ranks in zip(halves, wanted, strict=True))
    best = np.argsort(-np.abs(first), kind="stable")[:most].tolist()
    return [(unit, float(second[unit] * np.sign(first[unit]))) for unit in best]


def _ranked(values: np.ndarray) -> np.ndarray:
    """The ranks of each column of `values` [T, U], centred and of length 1, float64; equal values share a rank."""
    ranks = np.empty(values.shape)
    for column, ranked in zip(values.T, ranks.T, strict=True):
        _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        ranked[...] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    ranks -= ranks.mean(axis=0)
    return ranks / np.maximum(np.linalg.norm(ranks, axis=0), 1e-12)


def _untrained(config: ModelConfig, token_ids: np.ndarray) -> Iterator[np.ndarray]:
    """The states of all layers side by side [T, L * H] of models with the weights that training begins with."""
    for seed in range(NUM_UNTRAINED):
        layers = record(NumpyEngine(config, untrained_weights(config, seed)), token_ids, only_states=True)
        yield np.concatenate([layer.get("memory", layer["hidden"])[1:] for layer in layers], axis=1)


def untrained_weights(config: ModelConfig, seed: int) -> dict[str, np.ndarray]:
    """Weights as before the first step: Glorot's uniform ones, orthogonal ones, an open forget gate."""
    draw = np.random.default_rng(seed)
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(config).items()}
    for name, weight in weights.items():
        if name.endswith("recurrent_kernel"):
            for gate in np.split(weight, weight.shape[1] // config.units, axis=1):
                gate[...] = np.linalg.qr(draw.normal(size=gate.shape))[0]
        elif name.endswith("bias") and config.cell == "lstm" and name.startswith("layers"):
            weight[config.units : 2 * config.units] = 1
        elif not name.endswith("bias"):
            limit = 0.1 if name == "embedding" else np.sqrt(6 / sum(weight.shape))
            weight[...] = draw.uniform(-limit, limit, size=weight.shape)
    return weights


def _text_of(tokenizer: Tokenizer, token_ids: np.ndarray) -> tuple[str, np.ndarray]:
    """The text, the ends of documents as line ends, and the place of each token's last character."""
    pieces = [tokenizer.pieces[i] or END_OF_DOCUMENT for i in token_ids.tolist()]
    return "".join(pieces).replace(END_OF_DOCUMENT, "\n"), np.cumsum([len(piece) for piece in pieces]) - 1


def place_in_line(text: str) -> np.ndarray:
    """Characters since the last line end, at each character."""
    grown = itertools.accumulate(text, lambda place, symbol: 0 if symbol == "\n" else place + 1, initial=0)
    return np.array([*grown])[1:]


def inside_quotes(text: str) -> np.ndarray:
    """1 from an opening quotation mark on, 0 from the closing one on; a paragraph's end closes all."""

    def follow(is_inside: int, symbol: str) -> int:
        return {'"': 1 - is_inside, "“": 1, "”": 0, "«": 1, "»": 0, "\n": 0}.get(symbol, is_inside)

    return np.array([*itertools.accumulate(text, follow, initial=0)])[1:]


def inside_brackets(text: str) -> np.ndarray:
    """How many brackets are open, at each character."""

    def follow(depth: int, symbol: str) -> int:
        return depth + 1 if symbol in OPENING else max(0, depth - 1) if symbol in CLOSING else depth

    return np.array([*itertools.accumulate(text, follow, initial=0)])[1:]


def indentation(text: str) -> np.ndarray:
    """Spaces and tabs at the beginning of the line, as far as it has come, at each character."""

    def follow(state: tuple[int, bool], symbol: str) -> tuple[int, bool]:
        depth, begins = state
        if symbol == "\n":
            return 0, True
        return (depth + 1, True) if begins and symbol in " \t" else (depth, False)

    return np.array([depth for depth, _ in itertools.accumulate(text, follow, initial=(0, True))])[1:]


def length_of_word(text: str) -> np.ndarray:
    """Letters and digits of the word so far, at each character; 0 between words."""
    grown = itertools.accumulate(text, lambda length, symbol: length + 1 if symbol.isalnum() else 0, initial=0)
    return np.array([*grown])[1:]


PROPERTIES = {
    "position in the line": place_in_line,
    "inside quotes": inside_quotes,
    "inside brackets": inside_brackets,
    "indentation": indentation,
    "word length": length_of_word,
}
