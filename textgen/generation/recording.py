"""What happens inside the layers while a text is read: gates, candidates and states, token by token.

The states are those of the same steps that read any text. The gates are then computed from them, for all tokens at
once, so that nothing is recorded where nobody asks.
"""

import numpy as np

from textgen.generation.numpy_engine import NumpyEngine

Recording = dict[str, np.ndarray]  # by name, float32 [T, H]


def record(engine: NumpyEngine, token_ids: np.ndarray, *, only_states: bool = False) -> list[Recording]:
    """The layers' parts after each of `token_ids` [T], read from a zero state.

    Returns:
        For each layer: the gates and the candidate of its cell by the names of `CELLS`, unless `only_states`; `hidden`;
        and in an LSTM `memory`, its memory cells.
    """
    inputs = engine.table[token_ids]
    layers = []
    with engine.blas_threads(1):
        for index, shared in enumerate(engine.cells):
            cell = shared.prepared(1)
            projected = inputs if index == 0 and engine.is_folded else cell.project(inputs)
            hidden, memory = np.zeros((2, 1, cell.units), np.float32)
            states, memories = np.empty((2, len(token_ids), cell.units), np.float32)
            for t in range(len(token_ids)):
                cell.step(projected[t : t + 1], hidden, hidden, memory)
                states[t], memories[t] = hidden[0], memory[0]
            before = np.concatenate([np.zeros((1, cell.units), np.float32), states[:-1]])
            parts = {} if only_states else cell.parts(projected, before)
            has_memory = {"memory": memories} if engine.config.cell == "lstm" else {}
            layers.append({**parts, **has_memory, "hidden": states})
            inputs = states
    return layers
