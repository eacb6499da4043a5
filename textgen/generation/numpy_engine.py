"""The network as NumPy: it starts in a fraction of a second, where importing TensorFlow takes seconds.

A layer is one matrix product per token, of its input and its hidden state side by side. Where there are few tokens, the
first layer's input projection is folded into a table, `E W + b`, one row per token id (`is_folded`).
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import numpy as np
from threadpoolctl import OpenBLASController, ThreadpoolController

from textgen.config import ModelConfig, SamplingConfig
from textgen.generation.barred import Barred
from textgen.generation.few_rows import Stripes, is_striped
from textgen.generation.numpy_cells import NUMPY_CELLS, is_folded
from textgen.generation.numpy_rows import Rows
from textgen.generation.past import Past
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.generation.state import MAX_RECENT, Context
from textgen.generation.steering import Steering

READ_BLOCK = 1024  # positions whose projections are held at once
UNIFORM_BLOCK = 256  # random numbers made at once
# One BLAS thread writes one stream about as fast as several do, and is not slowed down tenfold when other programs want
# the cores too (BLAS threads wait for each other by spinning). Only products of more operations than this are shared.
SHARED_PRODUCT_OPERATIONS = 50_000_000


class NumpyEngine:
    """Reads and writes token ids with a model's weights."""

    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray]):
        """Args: weights: float32, as `model_directory.weight_shapes(config)`."""
        self.config = config
        parts = ("kernel", "recurrent_kernel", "bias")
        self.cells = [
            NUMPY_CELLS[config.cell](*(weights[f"layers.{index}.{part}"] for part in parts))
            for index in range(config.num_layers)
        ]
        self.is_folded = is_folded(config)
        self.table = weights["embedding"]  # [V, E]
        if self.is_folded:
            self.table = self.cells[0].project(self.table)  # [V, 4H]
        # A tied layer's kernel is the embedding, turned: [E, V], a view of it.
        self.output_kernel = weights["embedding"].T if config.tied else weights["output.kernel"]
        self.output_projection = weights.get("output.projection")  # [F, E], or None
        self.output_bias = weights["output.bias"]

    @functools.cached_property
    def output_stripes(self) -> Stripes:
        """The output kernel in stripes."""
        return Stripes(self.output_kernel)

    def in_numpy(self) -> Self:
        """This engine."""
        return self

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
            What the output layer sees, float32 [T, B, F]: the last layer's hidden states, or all layers' side by side.
        """
        outputs = self.table[token_ids]  # of no layer yet: embeddings, or the first layer's projections
        seen: list[np.ndarray] = []  # the outputs of all layers, where the output layer sees them
        for index in range(self.config.num_layers):
            outputs = self.run_layer(index, outputs, hidden[index], memory[index])
            seen.append(outputs)
        return np.concatenate(seen, axis=-1) if self.config.skip else outputs

    def run_layer(self, index: int, inputs: np.ndarray, hidden: np.ndarray, memory: np.ndarray) -> np.ndarray:
        """The hidden states of one layer, float32 [T, B, H].

        Args:
            inputs: those of the layer below, or rows of `table`, [T, B, ...].
            hidden, memory: of the layer, float32 [B, H], changed in place.
        """
        batch_size = len(hidden)
        with self.blas_threads(batch_size):
            cell = self.cells[index].prepared(batch_size)
            projected = inputs if index == 0 and self.is_folded else cell.project(inputs)
            outputs = np.empty((*inputs.shape[:2], self.config.units), np.float32)
            cell.run(projected, outputs, hidden, memory)
        return outputs

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """Scores of the next token: [..., F] to [..., V]."""
        if self.output_projection is not None:
            outputs = outputs @ self.output_projection
        scores = outputs @ self.output_kernel
        scores += self.output_bias  # in place: those of many tokens and words take long to write a second time
        return scores

    def write(
        self,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None = None,
        steering: Steering | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield token ids for as long as they are asked for, int32 [1, B] at a time; -1 where nothing may follow.

        Args:
            context: what all samples continue; it is not changed.
            samples: int [B], the samples' numbers: each has its own random numbers.
            barred: ids that are not to be written; None is none.
            steering: of these samples; None allows all ids.
        """
        return _Writer(self, context, config, samples, barred, steering).blocks()

    def blas_threads(self, batch_size: int) -> AbstractContextManager:
        """Limits BLAS, for the time of the block, to the threads that suit a step of `batch_size` rows."""
        weights = self.cells[-1].num_weights  # [2H, 4H]
        # One row's scores are bound by memory, not by arithmetic, and stripes have one thread.
        if batch_size > 1 and not is_striped(self.output_kernel, batch_size):
            weights = max(weights, self.output_kernel.size)
        return _one_blas_thread() if 2 * batch_size * weights < SHARED_PRODUCT_OPERATIONS else nullcontext()


class _Writer:
    """The state of a batch of samples that is being written, in buffers that are made once."""

    def __init__(
        self,
        engine: NumpyEngine,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None,
        steering: Steering | None,
    ):
        self.engine, self.samples, self.steering = engine, np.asarray(samples), steering
        self.seed = config.seed
        self.configs = [config.at(turn) for turn in range(len(config.temperatures))]
        self.rows = Rows(engine, len(self.samples))
        self.rows.resize(len(self.samples))
        self.rows.put(slice(None), context)
        self.past = Past(context, config, len(self.samples), barred)

    def blocks(self) -> Iterator[np.ndarray]:
        """Endless [1, B] blocks of ids."""
        position = 0
        with self.engine.blas_threads(len(self.samples)):
            while True:
                for uniform in uniforms(self.seed, self.samples, position, UNIFORM_BLOCK):
                    yield self.next_token(uniform, self.configs[position % len(self.configs)])[None]
                    position += 1

    def next_token(self, uniform: np.ndarray, config: SamplingConfig) -> np.ndarray:
        """Draw one id for each sample and let the network read it; int32 [B]."""
        allowed = None if self.steering is None else self.steering.allowed()
        token_ids = next_ids(self.rows.logits, uniform, config, self.past.recent, self.past.barred_ids(), allowed)
        if self.steering is not None:
            self.steering.advance(token_ids)
        self.past.advance(token_ids)
        self.rows.advance(token_ids)
        return token_ids.astype(np.int32)


class _OneBlasThread:
    """Limits BLAS to one thread while any text is being written; texts may end in another order than they began.

    NOTE: OpenBLAS has one number of threads for the process, and threadpoolctl lets only the thread that set it first
    set it again; what others ask for does nothing. So the right to set it is freed around each change: a text may be
    written in any thread, and its program may set the number in any other.
    """

    def __init__(self) -> None:
        self._controller = ThreadpoolController()
        self._lock = threading.RLock()
        self._num_open = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._num_open == 0:
                OpenBLASController.clear_controlling_thread(force=True)
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._num_open += 1

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            self._num_open -= 1
            if self._num_open == 0:
                OpenBLASController.clear_controlling_thread(force=True)
                self._limiter.restore_original_limits()
                OpenBLASController.clear_controlling_thread(force=True)


@functools.cache
def _one_blas_thread() -> _OneBlasThread:
    return _OneBlasThread()
