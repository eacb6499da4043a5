"""Counter-based random numbers: token n of sample s under a seed always uses the same one.

Philox4x32-10 has no state. The text of a sample therefore depends neither on how many samples are made beside it, nor
on the engine, nor on the device. `graph_philox.py` holds the same functions as TensorFlow operations, by these numbers:

1. Each of ten rounds multiplies two words of the counter and mixes the products' halves with the rest and the key.
2. After each round the key's words grow by constants.
3. The key is (low word of the seed, sample). The counter is (low word of the token's number, its high word, high word
   of the seed, 0).
4. A number is the first 32 bits of the answer's first word and the first 21 bits of its second, divided by 2**53.

Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3". It is checked against the known-answer
vectors of the authors' Random123 library.
"""

import numpy as np

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1, as 32-bit fractions
ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Four random words for each counter.

    Args:
        counter: uint64 [..., 4], each below 2**32.
        key: uint64 [..., 2], each below 2**32; leading axes broadcast with the counter's.

    Returns:
        uint64 [..., 4], each below 2**32.
    """
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, np.uint64), -1, 0)
    k0, k1 = np.moveaxis(np.asarray(key, np.uint64), -1, 0)
    for _ in range(ROUNDS):  # rule 1
        product0, product1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (product1 >> _HALF) ^ c1 ^ k0,
            product1 & _LOW,
            (product0 >> _HALF) ^ c3 ^ k1,
            product0 & _LOW,
        )
        k0, k1 = (k0 + np.uint64(KEY_INCREMENTS[0])) & _LOW, (k1 + np.uint64(KEY_INCREMENTS[1])) & _LOW  # rule 2
    return np.stack([c0, c1, c2, c3], axis=-1)


def uniforms(seed: int, samples: np.ndarray, first: int, count: int) -> np.ndarray:
    """Uniform numbers in [0, 1) for tokens `first` to `first + count - 1` of each sample.

    Args:
        seed: 0 to 2**63 - 1.
        samples: integers [B], the samples' numbers, each below 2**32.

    Returns:
        float64 [count, B], multiples of 2**-53.
    """
    tokens = np.arange(first, first + count, dtype=np.uint64)[:, None]  # [count, 1]
    samples = np.asarray(samples, np.uint64)[None, :]  # [1, B]
    shape = np.broadcast_shapes(tokens.shape, samples.shape)
    high_seed = np.full(shape, seed >> 32, np.uint64)
    words = [tokens & _LOW, tokens >> _HALF, high_seed, np.zeros(shape, np.uint64)]  # rule 3
    counter = np.stack([np.broadcast_to(word, shape) for word in words], axis=-1)
    low_seed = np.full(shape, seed & 0xFFFFFFFF, np.uint64)
    key = np.stack([low_seed, np.broadcast_to(samples, shape)], axis=-1)
    random = philox4x32(counter, key)
    high, low = random[..., 0] << np.uint64(21), random[..., 1] >> np.uint64(11)  # rule 4
    return (high | low).astype(np.float64) * 2.0**-53
