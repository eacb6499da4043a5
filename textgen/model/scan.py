"""The LSTM recurrence over time on a CPU, with its gradient written by hand.

What goes in: the input projections of all time steps, computed outside as one matrix product. What comes out: the
hidden state of every step. The forward loop holds `h U`, the gates and all the slopes that the backward loop needs;
the backward loop only two products with them, and `dz Uᵀ`. The gradient of the recurrent kernel is one matrix product
over all steps, after the loop. Everything is time-major, so that a step reads and writes contiguous memory.

What was measured and decided (two cores, two layers; times of whole training steps, taken in turns):

- Gates: sigmoid(x) = (1 + tanh(x/2))/2, so one tanh over [B, 4H] does for all four; the sigmoid gates' operands are
  halved once, outside the loop.
- Slopes: made in the forward loop, where the gates still lie in the cache, instead of in passes over whole arrays
  between the loops. At 128 units, B=64, T=128, 45.4 ms became 40.0; at B=16, T=64, 6.2 became 5.4; at 256 and 512 units
  a step became 6 and 3 % faster.
- Order of the backward step: elementwise part first, product last. The other way round the same step took 42.2 ms at
  B=64 and 8.0 at B=16.
- Cores: at 128 units a step's product is too small to be shared between cores. The batch runs as several independent
  chains in one loop, which stay apart from the token ids to the loss (`language_model.py`): cutting tensors into chains
  and joining them again would cost as much as it gains.
- Choosing between dc and dh with `tf.where` instead of `tf.concat` made the step 4.6 times slower.
- Copies: arrays that a loop fills start as the arrays it reads (slopes replace projections, the gradient replaces the
  slopes) or as the state, broadcast. Arrays of zeros would be one constant to XLA, kept all the time and copied for
  every loop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

NUM_GATES = 4  # i, f, c, o: the order of keras.layers.LSTM and of cuDNN


class Chain(NamedTuple):
    """Some rows of a batch, with a state of their own."""

    projected: tf.Tensor  # [T, B, 4H], `x W + b` for every step, gate order i, f, c, o; T and H are static
    hidden: tf.Tensor  # [B, H], before the first step
    memory: tf.Tensor  # [B, H], the memory cell before the first step


def lstm_scan(
    projected: tf.Tensor, recurrent_kernel: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run one LSTM layer over time.

    Args:
        projected, hidden, memory: as in `Chain`.
        recurrent_kernel: [H, 4H].

    Returns:
        Hidden states [T, B, H], the last hidden state [B, H] and the last memory cell [B, H]; differentiable in
        all four arguments.

    Source: Hochreiter and Schmidhuber 1997; the forget gate is Gers et al. 2000.
    """
    (outputs,) = lstm_scan_chains([Chain(projected, hidden, memory)], recurrent_kernel)
    return outputs


def lstm_scan_chains(
    chains: Sequence[Chain], recurrent_kernel: tf.Tensor
) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """`lstm_scan` of several chains of the same T, side by side in one loop."""
    flat = _scan(recurrent_kernel, *(tensor for chain in chains for tensor in chain))
    return _in_threes(flat)


@tf.custom_gradient
def _scan(recurrent_kernel, *flat):
    chains = [Chain(*part) for part in _in_threes(flat)]
    units = recurrent_kernel.shape[0]
    halved = _per_gate(units, recurrent_kernel.dtype, 0.5, 1.0)
    runs = _forward([chain._replace(projected=chain.projected * halved) for chain in chains], recurrent_kernel * halved)

    def gradient(*flat_d_outputs):
        d_chains = _backward(runs, _in_threes(flat_d_outputs), recurrent_kernel)
        d_kernel = tf.add_n(
            [
                tf.matmul(
                    tf.reshape(_shifted(chain.hidden, run.hiddens), [-1, units]),
                    tf.reshape(d_projected, [-1, NUM_GATES * units]),
                    transpose_a=True,
                )
                for chain, run, (d_projected, _, _) in zip(chains, runs, d_chains, strict=True)
            ]
        )
        return d_kernel, *(tensor for d_chain in d_chains for tensor in d_chain)

    return [t for run in runs for t in (run.hiddens, run.hiddens[-1], run.last_memory)], gradient


class _Run(NamedTuple):
    """What a chain's forward loop leaves. With dh and dc the gradients of a step's hidden state and memory cell:

    dh ← dh + d_hiddens      dc ← dc + dh memory_slope      dz = [dc, dc, dc, dh] slopes
    dc before the step = dc forget      dh before the step = dz Uᵀ
    """

    last_memory: tf.Tensor  # [B, H]
    slopes: tf.Tensor  # [T, B, 4H], of c in the operands of i, f and g, and of h in that of o
    memory_slopes: tf.Tensor  # [T, B, H], of h in c
    forget: tf.Tensor  # [T, B, H], the forget gate
    hiddens: tf.Tensor  # [T, B, H]


def _forward(chains: list[Chain], recurrent_kernel) -> list[_Run]:
    units = recurrent_kernel.shape[0]
    # d tanh(x/2)/2 for the sigmoid gates and d tanh(x) for the candidate, with the halves of (gate + 1)/2 folded in.
    own_slope = _per_gate(units, recurrent_kernel.dtype, 0.25, 0.5)

    def step(t, states):
        new_states = []
        for hidden, before, slopes, memory_slopes, forget, hiddens in states:
            gate = tf.tanh(slopes.read(t) + tf.matmul(hidden, recurrent_kernel))
            i, f, g, o = tf.split(gate, NUM_GATES, axis=1)
            memory = 0.5 * ((f + 1) * before + (i + 1) * g)
            squashed = tf.tanh(memory)
            hidden = 0.5 * (o + 1) * squashed
            slope = tf.concat([g, before, i + 1, squashed], axis=1) * ((1 - gate * gate) * own_slope)
            memory_slope = 0.5 * (o + 1) * (1 - squashed * squashed)
            written = (
                slopes.write(t, slope),
                memory_slopes.write(t, memory_slope),
                forget.write(t, 0.5 * (f + 1)),
                hiddens.write(t, hidden),
            )
            new_states.append((hidden, memory, *written))
        return t + 1, tuple(new_states)

    starts = tuple((c.hidden, c.memory, _array(c.projected), *_arrays_to_fill(c)) for c in chains)
    _, ends = _loop(step, chains[0].projected.shape[0], starts)
    return [_Run(memory, *(array.stack() for array in arrays)) for _, memory, *arrays in ends]


def _backward(runs: list[_Run], d_outputs, recurrent_kernel) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Gradients of each chain's projections [T, B, 4H] and of its state before the first step.

    Args:
        d_outputs: of each chain, the gradients of its hidden states, its last hidden state and its last memory cell.
    """
    time_steps = runs[0].hiddens.shape[0]
    transposed_kernel = tf.transpose(recurrent_kernel)

    def step(k, states):
        t = time_steps - 1 - k
        new_states = []
        for run, (d_hiddens, _, _), (d_hidden, d_memory, slopes) in zip(runs, d_outputs, states, strict=True):
            d_hidden = d_hidden + d_hiddens[t]
            d_memory = d_memory + d_hidden * run.memory_slopes[t]
            d_gate = tf.concat([d_memory, d_memory, d_memory, d_hidden], axis=1) * slopes.read(t)
            d_before = (tf.matmul(d_gate, transposed_kernel), d_memory * run.forget[t])
            new_states.append((*d_before, slopes.write(t, d_gate)))
        return k + 1, tuple(new_states)

    starts = tuple(
        (d_hidden, d_memory, _array(run.slopes)) for run, (_, d_hidden, d_memory) in zip(runs, d_outputs, strict=True)
    )
    _, ends = _loop(step, time_steps, starts)
    return [(d_projected.stack(), d_hidden, d_memory) for d_hidden, d_memory, d_projected in ends]


def _loop(step, time_steps: int, starts: tuple):
    return tf.while_loop(
        lambda t, _: t < time_steps, step, (0, starts), maximum_iterations=time_steps, parallel_iterations=1
    )


def _shifted(first: tf.Tensor, later: tf.Tensor) -> tf.Tensor:
    """The state before each step: `first` [B, H], then all of `later` [T, B, H] but the last."""
    return tf.concat([first[None], later[:-1]], axis=0)


def _array(over_time: tf.Tensor) -> tf.TensorArray:
    """An array over time that holds `over_time` [T, B, ...] to begin with; each step reads its place, then fills it."""
    time_steps, *element_shape = over_time.shape
    array = tf.TensorArray(over_time.dtype, time_steps, element_shape=element_shape, clear_after_read=False)
    return array.unstack(over_time)


def _arrays_to_fill(chain: Chain) -> list[tf.TensorArray]:
    """Three arrays over time for tensors [B, H], to be written whole; what they hold to begin with is of no account."""
    shape = [chain.projected.shape[0], *tf.unstack(tf.shape(chain.hidden))]
    contents = (chain.hidden, chain.memory, chain.hidden - chain.memory)
    return [_array(tf.broadcast_to(content, shape)) for content in contents]


def _per_gate(units: int, dtype, sigmoid_gates: float, candidate: float) -> tf.Tensor:
    """[4H]: one factor for the gates i, f, o and another for the candidate c."""
    return tf.constant(np.repeat([sigmoid_gates, sigmoid_gates, candidate, sigmoid_gates], units), dtype)


def _in_threes(flat: Sequence[tf.Tensor]) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    return [tuple(flat[n : n + 3]) for n in range(0, len(flat), 3)]
