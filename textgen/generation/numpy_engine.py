"""The network as NumPy: starts in a fraction of a second where importing TensorFlow takes seconds.

What goes in: weights and token ids. What comes out: contexts (after reading) and token ids (when writing). The first
layer's input projection is folded into a table, `E W + b`, one row per token id; the layers above make one matrix
product per token, of their input and their hidden state side by side.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from threadpoolctl import ThreadpoolController

from textgen.config import ModelConfig, SamplingConfig
from textgen.generation.context import MAX_RECENT, Context
from textgen.generation.numpy_cells import CELLS
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids

READ_BLOCK = 1024  # positions whose projections are held at once
UNIFORM_BLOCK = 256  # random numbers made at once
# One BLAS thread writes one stream about as fast as several do, and is not slowed down tenfold when other programs want
# the cores too (BLAS threads wait for each other by spinning). Only products of more operations than this are shared.
SHARED_PRODUCT_OPERATIONS = 50_000_000


class NumpyEngine:
    """Reads and writes token ids with a model's weights."""

    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray]):
        """Args: weights: float32, as `model_store.weight_shapes(config)`."""
        self.config = config
        parts = ("kernel", "recurrent_kernel", "bias")
        self.cells = [
            CELLS[config.cell](*(weights[f"layers.{index}.{part}"] for part in parts))
            for index in range(config.num_layers)
        ]
        self.table = self.cells[0].project(weights["embedding"])  # [V, 4H]
        self.output_kernel, self.output_bias = weights["output.kernel"], weights["output.bias"]

    def empty_context(self) -> Context:
        """Before the first token."""
        return Context.empty(self.config.num_layers, self.config.units, self.config.vocabulary_size)

    def read(self, token_ids: np.ndarray, context: Context | None = None) -> Context:
        """The context after `token_ids` (int [T], may be empty), which follow `context`."""
        context = context or self.empty_context()
        hidden, memory = context.hidden[:, None].copy(), context.memory[:, None].copy()  # [L, 1, H]
        logits = context.logits
        for start in range(0, len(token_ids), READ_BLOCK):
            outputs = self.run(token_ids[start : start + READ_BLOCK, None], hidden, memory)
            logits = self.logits(outputs[-1])[0]
        recent = np.concatenate([context.recent, np.asarray(token_ids, np.int32)])[-MAX_RECENT:]
        return Context(hidden[:, 0], memory[:, 0], logits, recent)

    def run(self, token_ids: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> np.ndarray:
        """Read many positions at once, layer by layer.

        Args:
            token_ids: int [T, B].
            hidden, memory: float32 [L, B, H], changed in place.

        Returns:
            The last layer's hidden states, float32 [T, B, H].
        """
        time_steps, batch_size = token_ids.shape
        outputs = self.table[token_ids]  # of no layer yet: the first layer's projections
        with self.blas_threads(batch_size):
            for index, shared_cell in enumerate(self.cells):
                cell = shared_cell.prepared(batch_size)
                projected = outputs if index == 0 else cell.project(outputs)
                outputs = np.empty((time_steps, batch_size, self.config.units), np.float32)
                for t in range(time_steps):
                    cell.step(projected[t], hidden[index], hidden[index], memory[index])
                    outputs[t] = hidden[index]
        return outputs

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """Scores of the next token: [..., H] to [..., V]."""
        return outputs @ self.output_kernel + self.output_bias

    def write(self, context: Context, config: SamplingConfig, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Yield token ids for as long as they are asked for, int32 [1, B] at a time.

        Args:
            context: what all samples continue; it is not changed.
            samples: int [B], the samples' numbers: each has its own random numbers.
        """
        return _Writer(self, context, config, samples).blocks()

    def blas_threads(self, batch_size: int) -> AbstractContextManager:
        """Limits BLAS, for the time of the block, to the threads that suit a step of `batch_size` rows."""
        product = 2 * batch_size * self.cells[-1].units * 2 * self.table.shape[1]  # [B, 2H] by [2H, 4H]
        return _one_blas_thread() if product < SHARED_PRODUCT_OPERATIONS else nullcontext()


class _Writer:
    """The state of a batch of samples that is being written, in buffers that are made once."""

    def __init__(self, engine: NumpyEngine, context: Context, config: SamplingConfig, samples: np.ndarray):
        self.engine, self.config, self.samples = engine, config, np.asarray(samples)
        B, L, H = len(self.samples), engine.config.num_layers, engine.config.units
        self.hidden = np.tile(context.hidden.reshape(1, L * H), (B, 1))  # [B, L * H], layer after layer
        self.memory = np.repeat(context.memory[:, None], B, axis=1)  # [L, B, H]
        self.logits = np.tile(context.logits, (B, 1))
        self.recent = context.recent_rows(config.repeat_last_n, B)
        self.cells = [cell.prepared(B) for cell in engine.cells]

    def blocks(self) -> Iterator[np.ndarray]:
        """Endless [1, B] blocks of ids."""
        position = 0
        with self.engine.blas_threads(len(self.samples)):
            while True:
                for uniform in uniforms(self.config.seed, self.samples, position, UNIFORM_BLOCK):
                    yield self.next_token(uniform)[None]
                position += UNIFORM_BLOCK

    def next_token(self, uniform: np.ndarray) -> np.ndarray:
        """Draw one id for each sample and let the network read it; int32 [B]."""
        token_ids = next_ids(self.logits, uniform, self.config, self.recent)
        if self.config.repeat_penalty != 1:
            self.recent[:, :-1] = self.recent[:, 1:]
            self.recent[:, -1] = token_ids
        self._advance(token_ids)
        return token_ids.astype(np.int32)

    def _advance(self, token_ids: np.ndarray) -> None:
        H = self.engine.config.units
        for index, cell in enumerate(self.cells):
            own = self.hidden[:, index * H : (index + 1) * H]
            if index == 0:
                cell.step(self.engine.table[token_ids], own, own, self.memory[0])
            else:
                beside = self.hidden[:, (index - 1) * H : (index + 1) * H]  # the layer below, and this one
                cell.step(None, beside, own, self.memory[index])
        np.dot(self.hidden[:, -H:], self.engine.output_kernel, out=self.logits)
        self.logits += self.engine.output_bias


class _OneBlasThread:
    """Limits BLAS to one thread while any text is being written; texts may end in another order than they began."""

    def __init__(self):
        self._controller = ThreadpoolController()
        self._lock = threading.RLock()
        self._num_open = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._num_open == 0:
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._num_open += 1

    def __exit__(self, *_) -> None:
        with self._lock:
            self._num_open -= 1
            if self._num_open == 0:
                self._limiter.restore_original_limits()


@functools.cache
def _one_blas_thread() -> _OneBlasThread:
    return _OneBlasThread()
