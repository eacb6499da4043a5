"""Which device trains, and whether cuDNN runs the recurrent layers there; if not, why not."""

from typing import NamedTuple

import tensorflow as tf

from textgen.cells import CELLS


class Device(NamedTuple):
    """Where training runs."""

    name: str  # "GPU" or "CPU"
    cudnn: bool
    reason: str  # one clause: why cuDNN is used, or why it is not


def choose_device(cell: str = "lstm") -> Device:
    """The device on which TensorFlow places the model.

    Keras takes its cuDNN kernel whenever the process sees a GPU and the layer's arguments allow it: tanh and sigmoid,
    a bias, no recurrent dropout, no unrolling, no mask. Our layers keep to these.
    """
    if not tf.config.list_logical_devices("GPU"):
        missing = "TensorFlow sees no GPU (pip install 'textgen[cuda]')"
        if not tf.test.is_built_with_cuda():
            missing = "this TensorFlow is built without CUDA"
        instead = "our own scan is used" if CELLS[cell].scanned else "Keras's own loop is used"
        return Device("CPU", False, f"{missing}; {instead}")
    if not CELLS[cell].on_cudnn:
        return Device("GPU", False, f"Keras does not use cuDNN for --cell {cell}")
    return Device("GPU", True, "TensorFlow sees a GPU and the layer meets cuDNN's conditions")
