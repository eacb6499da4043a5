"""Which device trains, and whether the LSTM runs on cuDNN there; if not, why not."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf


class Device(NamedTuple):
    """Where training runs."""

    name: str  # "GPU" or "CPU"
    cudnn: bool
    reason: str  # one clause: why cuDNN is used, or why it is not


def choose_device(
    cell: str = "lstm",
    *,
    list_gpus: Callable[[], Sequence] = lambda: tf.config.list_logical_devices("GPU"),
    built_with_cuda: Callable[[], bool] = tf.test.is_built_with_cuda,
) -> Device:
    """The device TensorFlow will place the model on. The two callables are what a test replaces.

    Keras takes its cuDNN kernel whenever the process sees a GPU and the layer's arguments allow it: tanh and sigmoid,
    a bias, no recurrent dropout, no unrolling, no mask. Our layers keep to these.
    """
    if not list_gpus():
        instead = "our own scan is used" if cell == "lstm" else "Keras's own loop is used"
        if not built_with_cuda():
            return Device("CPU", False, f"this TensorFlow is built without CUDA; {instead}")
        return Device("CPU", False, f"TensorFlow sees no GPU (pip install 'textgen[cuda]'); {instead}")
    if cell == "rnn":
        return Device("GPU", False, "cuDNN is used for lstm and gru, not for --cell rnn")
    return Device("GPU", True, "TensorFlow sees a GPU and the layer meets cuDNN's conditions")
