"""What runs the network of a model: NumPy, or TensorFlow, which is imported only where it is asked for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.barred import Barred
from textgen.generation.state import Context
from textgen.generation.steering import Steering
from textgen.store.model_directory import StoredModel
from textgen.tensorflow_runtime import quiet_import

if TYPE_CHECKING:
    from textgen.generation.numpy_engine import NumpyEngine

ENGINES = ("numpy", "tensorflow")


class Engine(Protocol):
    """What runs the network: `NumpyEngine`, or `TensorFlowEngine` in `graph.py`."""

    def read(self, token_ids: np.ndarray, context: Context | None = None) -> Context:
        """The context after `token_ids` [T], which follow `context`."""

    def in_numpy(self) -> "NumpyEngine":
        """The same network as an engine that tells the scores of every token."""

    def write(
        self,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None = None,
        steering: Steering | None = None,
    ) -> Iterator[np.ndarray]:
        """Endless blocks of token ids, int32 [n, B], one column per sample, as `barred` and `steering` allow.

        An id is -1 where they allow none; what follows in its column means nothing.
        """


def open_engine(model: StoredModel, engine: str) -> Engine:
    """The engine of that name. Only "tensorflow" imports TensorFlow.

    Raises:
        SettingError: there is no engine of that name.
        TextgenError: TensorFlow cannot be imported.
    """
    if engine == "numpy":
        from textgen.generation.numpy_engine import NumpyEngine  # noqa: PLC0415

        return NumpyEngine(model.record.model, model.weights)
    if engine == "tensorflow":
        quiet_import(with_keras=False)
        from textgen.generation.graph import TensorFlowEngine  # noqa: PLC0415

        return TensorFlowEngine(model.record.model, model.weights)
    raise SettingError(f"`engine` must be one of {', '.join(ENGINES)}. Received: {engine!r}")
