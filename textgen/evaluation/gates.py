"""What a page or a terminal shows of the layers while they read a text: which parts, which units, in which order."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from textgen.errors import CorpusError
from textgen.evaluation.unit_search import LEAST_TOKENS, MOST_TOKENS, Property, find_units
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.recording import Recording, record
from textgen.messages import counted
from textgen.tokenizers import Tokenizer

MOST_SHOWN = 2000  # tokens
MOST_VALUES = 1_900_000  # numbers of a page, a byte each

# What is shown of each cell, in this order; the last is the state that is carried on.
PARTS = {
    "lstm": ("input", "forget", "output", "candidate", "memory"),
    "gru": ("update", "reset", "candidate", "hidden"),
    "rnn": ("hidden",),
}
GATES = ("input", "forget", "output", "update", "reset")  # from 0 to 1; other parts are from -1 to 1
LEGEND = {
    "lstm": (
        "The input gate says how much of the candidate, which a unit makes of what it has just read, is written into "
        "its memory cell. The forget gate says how much of the memory is kept: all of it at 1, nothing at 0. The "
        "output gate says how much of the memory the rest of the network gets to see."
    ),
    "gru": (
        "The update gate says how much of a unit's state is kept, and the rest is filled with the candidate. The reset "
        "gate says how much of the state goes into the candidate. The candidate is what the unit makes of what it has "
        "just read."
    ),
    "rnn": (
        "A plain RNN has no gates. Each new state is made of what the unit has just read and of all states before it. "
        "So nothing protects what is to be remembered, and most of it fades within a few tokens."
    ),
}


class Layer(NamedTuple):
    """A layer while it reads the part of the text that is shown."""

    parts: Recording  # float32 [T, H], those of PARTS; memory cells as their tanh, which is what is let out
    units: np.ndarray  # int [U]: those that are drawn, ascending
    orders: dict[str, np.ndarray]  # how to sort: places in `units`, int [U]


class Reading(NamedTuple):
    """A model while it reads a text."""

    cell: str
    level: str
    pieces: tuple[str, ...]  # of the T tokens that are shown; the end of a document is ""
    num_tokens: int  # that were read, for the search too
    units: int  # H
    layers: tuple[Layer, ...]
    found: tuple[Property, ...]  # empty where the text is too short to look for named units


def too_short(reading: Reading) -> str:
    """Why no named units were looked for."""
    return (
        f"none was looked for: the text has {counted(reading.num_tokens, 'token')}, and at least {LEAST_TOKENS:,} "
        "are needed"
    )


def first_tokens(blocks: Iterable[str], tokenizer: Tokenizer) -> np.ndarray:
    """The first tokens of a text, at most MOST_TOKENS, behind the start token. Raises CorpusError where it is empty."""
    parts, count = [np.array([tokenizer.start_id])], 0
    for part in tokenizer.encode_blocks(blocks):
        parts.append(part)
        count += len(part)
        if count >= MOST_TOKENS:
            break
    if not count:
        raise CorpusError("there is no text to look at. Give some with --text, or name a file that has some")
    return np.concatenate(parts)[: MOST_TOKENS + 1]


def read_gates(engine: NumpyEngine, tokenizer: Tokenizer, token_ids: np.ndarray) -> Reading:
    """Let the model read `token_ids` [T + 1], of which the first is the start token."""
    cell = engine.config.cell
    names = PARTS[cell]
    recorded = record(engine, token_ids)
    is_long = len(token_ids) > LEAST_TOKENS
    states = [layer[names[-1]] for layer in recorded]
    found = find_units(engine, tokenizer, token_ids, states) if is_long else []
    shown = slice(1, 1 + MOST_SHOWN)
    num_shown = len(token_ids[shown])
    most_units = max(1, MOST_VALUES // (num_shown * len(names) * len(recorded)))
    layers = []
    for index, layer in enumerate(recorded):
        parts = {name: layer[name][shown] for name in names}
        if "memory" in parts:
            parts["memory"] = np.tanh(parts["memory"])
        named = [unit.unit for prop in found for unit in prop.units if unit.layer == index]
        units = _most_active(parts[names[-1]], named, most_units)
        layers.append(Layer(parts, units, _orders(parts, cell, units)))
    pieces = tuple(tokenizer.pieces[i] for i in token_ids[shown].tolist())
    return Reading(cell, tokenizer.level, pieces, len(token_ids) - 1, engine.config.units, tuple(layers), tuple(found))


def _most_active(state: np.ndarray, named: list[int], most: int) -> np.ndarray:
    """The units that have a name, and those whose state changes most."""
    by_change = np.argsort(-state.std(axis=0), kind="stable").tolist()
    return np.sort([*dict.fromkeys([*named, *by_change])][:most])


def _orders(parts: Recording, cell: str, units: np.ndarray) -> dict[str, np.ndarray]:
    state = parts[PARTS[cell][-1]][:, units].astype(np.float64)
    state -= state.mean(axis=0)
    state /= np.maximum(np.linalg.norm(state, axis=0), 1e-12)
    if cell == "rnn":  # how alike a state is to the one before it
        holding = (state[1:] * state[:-1]).sum(axis=0)
    else:
        holding = parts["forget" if cell == "lstm" else "update"][:, units].mean(axis=0)
    directions = np.linalg.svd(state, full_matrices=False)[2][:2]  # of the two ways in which units differ most
    angles = np.arctan2(directions[-1], directions[0])
    return {"memory": np.argsort(-holding, kind="stable"), "likeness": np.argsort(angles, kind="stable")}
