"""Units whose state carries something that people can name: how far the line has come, whether a quotation is open.

The score of a unit for a property is the rank correlation of its state and the property over the text, from -1 to 1. A
unit is looked for on the first half of the text. It is found where its score on the second half, which took no part in
the choice, has the same sign, is at least LEAST, and is at least MARGIN above that of units of untrained models of the
same shape that were chosen in the same way. Among hundreds of units one fits by chance, and a network that
has learned nothing also remembers what it has just read.

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
LEAST_UNTRAINED, MOST_UNTRAINED, UNTRAINED_UNITS = 2, 16, 2048  # models, and units of all of them together
NUM_FOUND = 3  # units of a property that are named at the most
LEAST_TOKENS, MOST_TOKENS = 1000, 8000
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
    reason: str = ""  # why none could be found


def find_units(
    engine: NumpyEngine, tokenizer: Tokenizer, token_ids: np.ndarray, states: list[np.ndarray]
) -> list[Property]:
    """What was found for each property.

    Args:
        token_ids: int [T], of which the first is the start token.
        states: of each layer [T, H] after these tokens, the memory cells where there are some.
    """
    text, ends = _text_of(tokenizer, token_ids[1:])
    halves = np.array_split(np.arange(len(ends)), 2)
    values = {name: values_of(text)[ends] for name, values_of in PROPERTIES.items()}
    wanted = {
        name: [_ranked(its[half, None])[:, 0] for half in halves]
        for name, its in values.items()
        if min(np.count_nonzero(np.diff(its[half])) for half in halves) >= LEAST_CHANGES
    }
    by_chance = dict.fromkeys(wanted, 0.0)
    for untrained in _untrained(engine.config, token_ids) if wanted else ():
        ranks = [_ranked(untrained[half]) for half in halves]
        by_chance = {name: max(by_chance[name], _chosen(ranks, its, 1)[0][1]) for name, its in wanted.items()}
    ranks = [_ranked(np.concatenate([layer[1:] for layer in states], axis=1)[half]) for half in halves]
    found = []
    for name in PROPERTIES:
        if name not in wanted:
            found.append(Property(name, (), "the text has too little of it to tell"))
            continue
        units = [
            FoundUnit(*divmod(unit, engine.config.units), score, by_chance[name])
            for unit, score in _chosen(ranks, wanted[name], NUM_FOUND)
            if score >= max(LEAST, by_chance[name] + MARGIN)
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
    columns, place = np.ascontiguousarray(values.T), np.arange(len(values))
    order = np.argsort(columns, axis=1)
    ordered = np.take_along_axis(columns, order, axis=1)
    is_new = np.diff(ordered, axis=1) > 0  # where the next value is another one
    first = np.maximum.accumulate(np.pad(is_new, ((0, 0), (1, 0))) * place, axis=1)
    ends = np.where(np.pad(is_new, ((0, 0), (0, 1)), constant_values=True), place, len(place))
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(columns.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    return (ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12)).T


def _untrained(config: ModelConfig, token_ids: np.ndarray) -> Iterator[np.ndarray]:
    """The states of all layers side by side [T, L * H] of models with the weights that training begins with."""
    wanted = UNTRAINED_UNITS // (config.num_layers * config.units)  # small models differ more by chance
    for seed in range(min(MOST_UNTRAINED, max(LEAST_UNTRAINED, wanted))):
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
