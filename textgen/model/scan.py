"""The LSTM recurrence over time on a CPU, with its gradient written by hand.

The input projections of all time steps are computed outside, as one matrix product. The forward loop holds `h U`, the
gates and all the slopes that the backward loop needs; the backward loop holds only two products with the slopes, and
`dz Uᵀ`. The gradient of the recurrent kernel is one matrix product over all steps, after the loop. Everything is
time-major, so that a step reads and writes contiguous memory.

Within the loops a row is a stream: states are [B, H] and projections [B, 4H]. In large models a column is: states are
[H, B], and the products `Uᵀ h` and `U dz` have the kernel on the left. Arrays are turned before those loops and after.
How large, depends on a core's cache.

What was measured and decided (two cores, two layers; times of whole training steps, taken in turns):

- Kernel on the left: of the operand on the right a product makes a packed copy. Where that is the kernel it is copied
  anew at every time step, which takes longer than multiplying few rows, and longest where its rows share lines of the
  cache. On a machine with half a megabyte of second-level cache (AVX2) a step became 1.5 times as fast at 512 units and
  1.3 times at 1,024 (B=64); on two with a whole megabyte (AVX-512) 0.96 and 0.88 times at 512 units, 1.1 and 1.06 times
  at 1,024. At 128 and 256 units turning costs 1 to 4 % of a step on the first and 8 on another.
- Gates: sigmoid(x) = (1 + tanh(x/2))/2, so one tanh over [B, 4H] computes all four; the sigmoid gates' operands are
  halved once, outside the loop.
- Slopes: computed in the forward loop, where the gates still lie in the cache, instead of in passes over whole arrays
  between the loops. At 128 units, B=64, T=128, 45.4 ms became 40.0; at B=16, T=64, 6.2 became 5.4; at 256 and 512 units
  a step became 6 and 3 % faster.
- Order of the backward step: elementwise part first, product last. The other way round the same step took 42.2 ms at
  B=64 and 8.0 at B=16.
- Cores: at 128 units a step's product is too small to be split between them, so the batch is split (`shards.py`).
- Choosing between dc and dh with `tf.where`, or by multiplying with zeros and ones, instead of with `tf.concat` made
  the step 4.5 times slower: XLA then computes the gradient of the gates once for the product and once more for the
  array, and copies the array in between. So does a `tf.reshape` of the gradient between the array and the product.
- Copies: arrays that a loop fills start as the arrays it reads (slopes replace projections, the gradient replaces the
  slopes) or as the state, broadcast. Arrays of zeros would be one constant to XLA, kept all the time and copied for
  every loop.
- Counting: the loops have no `maximum_iterations`. With it XLA does not see how often they run, and asks before every
  step.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.cores import second_level_cache

LARGE_CACHE = 1 << 20  # bytes
NUM_GATES = 4  # i, f, c, o: the order of keras.layers.LSTM and of cuDNN


@tf.custom_gradient
def lstm_scan(
    projected: tf.Tensor, recurrent_kernel: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor, tf.Tensor], Callable]:
    """Run one LSTM layer over time.

    Args:
        projected: [T, B, 4H], `x W + b` for every step, gate order i, f, c, o; T and H are static.
        recurrent_kernel: [H, 4H].
        hidden: [B, H], before the first step.
        memory: [B, H], the memory cell before the first step.

    Returns:
        Hidden states [T, B, H], the last hidden state [B, H] and the last memory cell [B, H]; differentiable in
        all four arguments.

    Source: Hochreiter and Schmidhuber 1997; the forget gate is Gers et al. 2000.
    """
    units = recurrent_kernel.shape[0]
    layout = _COLUMNS if units >= columns_from_units() else _ROWS
    halved = _per_gate(units, recurrent_kernel.dtype, 0.5, 1.0)
    turned = map(layout.turn, (projected * halved, hidden, memory))
    run = _forward(layout, layout.turn(recurrent_kernel * halved), *turned)
    hiddens = layout.turn(run.hiddens)

    def gradient(*d_outputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        d_run = _backward(layout, run, [*map(layout.turn, d_outputs)], recurrent_kernel)
        d_projected, d_hidden, d_memory = map(layout.turn, d_run)
        before = tf.concat([hidden[None], hiddens[:-1]], axis=0)
        d_kernel = tf.matmul(
            tf.reshape(before, [-1, units]), tf.reshape(d_projected, [-1, NUM_GATES * units]), transpose_a=True
        )
        return d_projected, d_kernel, d_hidden, d_memory

    return (hiddens, hiddens[-1], layout.turn(run.last_memory)), gradient


def columns_from_units() -> int:
    """How many units a layer has at least in which a stream is a column, on this machine."""
    return 1024 if second_level_cache() >= LARGE_CACHE else 512


class _Layout(NamedTuple):
    """How the arrays of the loops lie; the shapes below are those of rows."""

    axis: int  # of the units in a state
    turn: Callable[[tf.Tensor], tf.Tensor]  # from rows to this layout, and back
    product: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # of a state [B, H] and a kernel [H, 4H]


_ROWS = _Layout(1, lambda array: array, tf.matmul)
_COLUMNS = _Layout(0, tf.linalg.matrix_transpose, lambda state, kernel: tf.matmul(kernel, state))


class _Run(NamedTuple):
    """What the forward loop leaves. With dh and dc the gradients of a step's hidden state and memory cell:

    dh ← dh + d_hiddens      dc ← dc + dh memory_slope      dz = [dc, dc, dc, dh] slopes
    dc before the step = dc forget      dh before the step = dz Uᵀ
    """

    last_memory: tf.Tensor  # [B, H]
    slopes: tf.Tensor  # [T, B, 4H], of c in the operands of i, f and g, and of h in that of o
    memory_slopes: tf.Tensor  # [T, B, H], of h in c
    forget: tf.Tensor  # [T, B, H], the forget gate
    hiddens: tf.Tensor  # [T, B, H]


def _forward(
    layout: _Layout, recurrent_kernel: tf.Tensor, projected: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor
) -> _Run:
    time_steps, units = projected.shape[0], hidden.shape[layout.axis]
    # d tanh(x/2)/2 for the sigmoid gates and d tanh(x) for the candidate, with the halves of (gate + 1)/2 folded in.
    own_slope = layout.turn(_per_gate(units, recurrent_kernel.dtype, 0.25, 0.5)[None])

    def step(t: tf.Tensor, hidden: tf.Tensor, before: tf.Tensor, *arrays: tf.TensorArray) -> tuple:
        gate = tf.tanh(arrays[0].read(t) + layout.product(hidden, recurrent_kernel))
        i, f, g, o = tf.split(gate, NUM_GATES, layout.axis)
        memory = 0.5 * ((f + 1) * before + (i + 1) * g)
        squashed = tf.tanh(memory)
        hidden = 0.5 * (o + 1) * squashed
        slope = tf.concat([g, before, i + 1, squashed], layout.axis) * ((1 - gate * gate) * own_slope)
        memory_slope = 0.5 * (o + 1) * (1 - squashed * squashed)
        written = (slope, memory_slope, 0.5 * (f + 1), hidden)
        return t + 1, hidden, memory, *(array.write(t, part) for array, part in zip(arrays, written, strict=True))

    # The slopes replace the projections; what the other arrays hold to begin with is never read.
    shape = [time_steps, *tf.unstack(tf.shape(hidden))]
    others = [tf.broadcast_to(content, shape) for content in (hidden, memory, hidden - memory)]
    starts = (0, hidden, memory, *(_array(over_time) for over_time in (projected, *others)))
    _, _, memory, *arrays = tf.while_loop(lambda t, *_: t < time_steps, step, starts, parallel_iterations=1)
    return _Run(memory, *(array.stack() for array in arrays))


def _backward(
    layout: _Layout, run: _Run, d_outputs: Sequence[tf.Tensor], recurrent_kernel: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gradients of the projections [T, B, 4H] and of the state before the first step.

    Args:
        d_outputs: the gradients of the hidden states, the last hidden state and the last memory cell.
    """
    d_hiddens, d_hidden, d_memory = d_outputs
    transposed_kernel = layout.turn(tf.transpose(recurrent_kernel))

    def step(t: tf.Tensor, d_hidden: tf.Tensor, d_memory: tf.Tensor, slopes: tf.TensorArray) -> tuple:
        d_hidden = d_hidden + d_hiddens[t]
        d_memory = d_memory + d_hidden * run.memory_slopes[t]
        d_gate = tf.concat([d_memory, d_memory, d_memory, d_hidden], layout.axis) * slopes.read(t)
        return t - 1, layout.product(d_gate, transposed_kernel), d_memory * run.forget[t], slopes.write(t, d_gate)

    starts = (run.hiddens.shape[0] - 1, d_hidden, d_memory, _array(run.slopes))
    _, d_hidden, d_memory, d_projected = tf.while_loop(lambda t, *_: t >= 0, step, starts, parallel_iterations=1)
    return d_projected.stack(), d_hidden, d_memory


def _array(over_time: tf.Tensor) -> tf.TensorArray:
    """An array over time that holds `over_time` [T, B, ...] to begin with; each step reads its place, then fills it."""
    time_steps, *element_shape = over_time.shape
    array = tf.TensorArray(over_time.dtype, time_steps, element_shape=element_shape, clear_after_read=False)
    return array.unstack(over_time)


def _per_gate(units: int, dtype: tf.DType, sigmoid_gates: float, candidate: float) -> tf.Tensor:
    """[4H]: one factor for the gates i, f, o and another for the candidate c."""
    return tf.constant(np.repeat([sigmoid_gates, sigmoid_gates, candidate, sigmoid_gates], units), dtype)
