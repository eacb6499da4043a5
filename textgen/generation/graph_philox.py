"""`philox.py` as TensorFlow operations: the same rules, by the same numbers."""

import tensorflow as tf

from textgen.generation.philox import KEY_INCREMENTS, MULTIPLIERS, ROUNDS

_LOW = 0xFFFFFFFF


def philox4x32(counter: tuple[tf.Tensor, ...], key: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
    """Four random words for each counter.

    Args:
        counter: four int64 tensors, each 0 to 2**32 - 1.
        key: two of the same kind; all shapes broadcast.

    Returns:
        Four int64 tensors, each 0 to 2**32 - 1.

    NOTE: a product of two words has 64 bits, so as int64 it may be negative. Shifts then fill with ones, which the mask
    takes away again.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):  # rule 1
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            _xor(_xor(_high(product1), c1), k0),
            _and(product1, _LOW),
            _xor(_xor(_high(product0), c3), k1),
            _and(product0, _LOW),
        )
        k0, k1 = _and(k0 + KEY_INCREMENTS[0], _LOW), _and(k1 + KEY_INCREMENTS[1], _LOW)  # rule 2
    return c0, c1, c2, c3


def uniforms(seed: tf.Tensor, samples: tf.Tensor, first: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Uniform numbers in [0, 1) for tokens `first` to `first + count - 1` of each sample.

    Args:
        seed, first: int64 scalars, not negative.
        samples: int64 [B], each below 2**32.

    Returns:
        float64 [count, B].
    """
    tokens = first + tf.range(tf.cast(count, tf.int64), dtype=tf.int64)[:, None]  # [count, 1]
    zero = tf.zeros([], tf.int64)
    counter = (_and(tokens, _LOW), _high(tokens), _high(seed), zero)  # rule 3
    word0, word1, _, _ = philox4x32(counter, (_and(seed, _LOW), samples[None]))
    high, low = tf.bitwise.left_shift(word0, _int64(21)), tf.bitwise.right_shift(word1, _int64(11))  # rule 4
    return tf.cast(tf.bitwise.bitwise_or(high, low), tf.float64) * 2.0**-53


def _int64(number: int) -> tf.Tensor:
    return tf.constant(number, tf.int64)


def _and(words: tf.Tensor, mask: int) -> tf.Tensor:
    return tf.bitwise.bitwise_and(words, _int64(mask))


def _xor(words: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(words, others)


def _high(products: tf.Tensor) -> tf.Tensor:
    """The high 32 of 64 bits."""
    return _and(tf.bitwise.right_shift(products, _int64(32)), _LOW)
