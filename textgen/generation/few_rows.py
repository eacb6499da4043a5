"""Products of a few rows with a large matrix, which NumPy's BLAS makes slowly as a whole.

OpenBLAS copies a large matrix before it multiplies it, which takes longer than the product of a few rows, unless the
product is small (`sgemm_small_matrix_permit` of its SkylakeX kernels). So the matrix is cut into stripes of columns,
each of which stands in one piece of memory, row after row, and one call of `np.matmul` multiplies the rows with each.
On a processor with AVX-512 (AMD), 8 rows with 30,000 words of 256 numbers took 2.3 ms as a whole and 0.9 in stripes,
with a layer of 512 units 0.4 and 0.13. Where there is another core it multiplies with half of the stripes, with the
same results.
"""

import numpy as np

from textgen.cores import asked_beside, available_cores

SMALL_PRODUCT = 990_000  # multiplications with a stripe
WIDEST = 64  # columns of a stripe, of which a SkylakeX kernel has one block
USUAL_ROWS, MOST_ROWS = 12, 16
LEAST_WEIGHTS = 2**19  # of a matrix that is large
LEAST_SHARED = 2**21  # of one that two cores share


def is_striped(kernel: np.ndarray, num_rows: int) -> bool:
    """Whether so many rows are multiplied with `kernel` [K, N] in stripes."""
    is_small = num_rows * len(kernel) * _width(len(kernel)) <= SMALL_PRODUCT
    return 1 < num_rows <= MOST_ROWS and kernel.size >= LEAST_WEIGHTS and is_small


def _width(depth: int) -> int:
    """Columns of a stripe of so many rows: a power of two."""
    return min(WIDEST, 1 << max(0, (SMALL_PRODUCT // (USUAL_ROWS * depth)).bit_length() - 1))


class Stripes:
    """A copy of a matrix [K, N] in stripes."""

    def __init__(self, kernel: np.ndarray):
        depth, size = kernel.shape
        width = _width(depth)
        num_stripes = size // width
        self._shape = num_stripes, width
        self._in_stripes = num_stripes * width
        stripes = kernel[:, : self._in_stripes].reshape(depth, num_stripes, width).transpose(1, 0, 2)
        self._stripes = np.ascontiguousarray(stripes)  # [N / width, K, width]
        self._rest = np.ascontiguousarray(kernel[:, self._in_stripes :])
        self._num_given = num_stripes // 2 if kernel.size >= LEAST_SHARED and available_cores() > 1 else 0

    def product(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Multiply `rows` [B, K]; the result goes to `out` [B, N]."""
        parts = out[:, : self._in_stripes].reshape(len(rows), *self._shape).transpose(1, 0, 2)
        given = self._num_given
        other = asked_beside(np.matmul, rows, self._stripes[:given], out=parts[:given]) if given else None
        given = 0 if other is None else given
        np.matmul(rows, self._stripes[given:], out=parts[given:])
        np.matmul(rows, self._rest, out=out[:, self._in_stripes :])
        if other is not None:
            other.result()
