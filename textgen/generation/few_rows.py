"""Products of a few rows with a large matrix, which NumPy's BLAS makes slowly as a whole.

OpenBLAS copies a large matrix before it multiplies it, which takes longer than the product of a few rows, unless the
result is small (`sgemm_small_matrix_permit` of its SkylakeX kernels). So the matrix is cut into stripes of columns that
stand one after the other in memory, and one call of `np.matmul` multiplies the rows with each: 8 rows with 30,000 words
of 256 numbers took 2.8 ms as a whole and 1.6 in stripes, with a layer of 512 units 0.9 and 0.4. Where there is another
core it multiplies with half of the stripes: 1.0 and 0.3 ms, with the same results.
"""

import numpy as np

from textgen.cores import asked_beside, available_cores

SMALL_RESULT, SMALL_PRODUCT = 1200, 990_000  # numbers of a stripe's result, and multiplications for it
MOST_ROWS = 16
LEAST_WEIGHTS = 2**19  # of a matrix that is large
LEAST_SHARED = 2**21  # of one that two cores share


def is_striped(kernel: np.ndarray, num_rows: int) -> bool:
    """Whether so many rows are multiplied with `kernel` [K, N] in stripes."""
    return 1 < num_rows <= MOST_ROWS and kernel.size >= LEAST_WEIGHTS


class Stripes:
    """A matrix [K, N] in stripes for so many rows."""

    def __init__(self, columns: np.ndarray, num_rows: int):
        """Args: columns: [N, K], the matrix turned, in C order."""
        size, depth = columns.shape
        self._width = min(SMALL_RESULT, SMALL_PRODUCT // depth) // num_rows
        self._num_stripes = size // self._width
        self._in_stripes = self._num_stripes * self._width
        self._stripes = columns[: self._in_stripes].reshape(self._num_stripes, self._width, depth).transpose(0, 2, 1)
        self._rest = columns[self._in_stripes :].T
        self._num_given = self._num_stripes // 2 if columns.size >= LEAST_SHARED and available_cores() > 1 else 0

    def product(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Multiply `rows` [B, K]; the result goes to `out` [B, N]."""
        parts = out[:, : self._in_stripes].reshape(len(rows), self._num_stripes, self._width)
        parts, given = parts.transpose(1, 0, 2), self._num_given
        other = asked_beside(np.matmul, rows, self._stripes[:given], out=parts[:given]) if given else None
        given = 0 if other is None else given
        np.matmul(rows, self._stripes[given:], out=parts[given:])
        np.matmul(rows, self._rest, out=out[:, self._in_stripes :])
        if other is not None:
            other.result()
