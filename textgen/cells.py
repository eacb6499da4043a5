"""The facts of the recurrent cells, one record a cell.

A cell's arithmetic is written three times, where it runs: the Keras layer in `model/`, the NumPy step in
`generation/numpy_cells.py`, and the gates in TensorFlow operations in `generation/graph_network.py`.
"""

from typing import NamedTuple


class Cell(NamedTuple):
    """What can be said of a cell without running it."""

    name: str  # in messages
    gates: tuple[str, ...]  # in the order in which the weights hold them, H columns each
    num_states: int  # tensors [B, H] that are carried from token to token; the first is the hidden state
    two_biases: bool = False  # one for the input and one for the hidden state
    scanned: bool = False  # on a CPU by our own scan, not by Keras's loop
    on_cudnn: bool = True  # on a GPU by cuDNN

    def width(self, units: int) -> int:
        """Columns of both kernels: those of all gates side by side."""
        return len(self.gates) * units

    def bias_shape(self, units: int) -> tuple[int, ...]:
        """[width], or [2, width] where there are two."""
        return (2, self.width(units)) if self.two_biases else (self.width(units),)


# The gates stand in the order of Keras's layers, which is that of cuDNN.
CELLS = {
    "lstm": Cell("LSTM", ("input", "forget", "candidate", "output"), num_states=2, scanned=True),
    "gru": Cell("GRU", ("update", "reset", "candidate"), num_states=1, two_biases=True),
    "rnn": Cell("plain RNN", ("candidate",), num_states=1, on_cudnn=False),
}
