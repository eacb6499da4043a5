"""The network's step as LiteRT (TensorFlow Lite) has it, for phones: of one text, in operations that are built in."""

import tempfile
import warnings
from pathlib import Path

import tensorflow as tf

from textgen.errors import ExportError
from textgen.export.step import Run, StepFile, states_of
from textgen.generation.graph_network import Network, State, fold_weights
from textgen.store import atomic
from textgen.store.model_directory import StoredModel
from textgen.tensorflow_runtime import hidden_stderr

SIGNATURE = "step"


def write(model: StoredModel, path: Path) -> None:
    """Write the step of `model`. Raises ExportError where it cannot be converted, and OSError."""
    module = _Step(model)
    # From a SavedModel, because only that gives the inputs and outputs their names.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            tf.saved_model.save(module, folder, signatures={SIGNATURE: module.step()})
        except tf.errors.OpError as problem:
            raise OSError(problem.message) from None
        try:
            with hidden_stderr():
                content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        except MemoryError:
            raise
        except Exception as problem:  # the converter's own classes, which are not part of its interface
            first, *_ = str(problem).split("\n")
            raise ExportError(f"TensorFlow cannot convert the model: {first}") from None
    atomic.write_bytes(path, content)


class _Step(tf.Module):
    """A model's weights, and the function that takes a step with them."""

    def __init__(self, model: StoredModel):
        super().__init__(name="textgen")
        self.config = model.record.model
        folded = fold_weights(self.config, model.weights)
        self.weights = {name: tf.Variable(value, trainable=False, name=name) for name, value in folded.items()}

    def step(self) -> tf.types.experimental.ConcreteFunction:
        """The step of one text."""
        states, shape = states_of(self.config), [1, self.config.num_layers, self.config.units]

        def step(token_id: tf.Tensor, **before: tf.Tensor) -> dict[str, tf.Tensor]:
            network = Network(self.config, {name: variable.read_value() for name, variable in self.weights.items()})
            layers = {name: tuple(tf.unstack(value, axis=1)) for name, value in before.items()}
            after = network.advance(token_id, State(layers["hidden"], layers.get("memory", layers["hidden"])))
            return {"logits": network.logits(after)} | {
                f"{name}_after": tf.stack(getattr(after, name), axis=1) for name in states
            }

        inputs = {name: tf.TensorSpec(shape, tf.float32, name) for name in states}
        return tf.function(step).get_concrete_function(tf.TensorSpec([1], tf.int32, "token_id"), **inputs)


def open_step(content: bytes) -> Run:
    """What runs the step, on one core: the package ai-edge-litert, or TensorFlow where that is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
    except ImportError:
        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings(), hidden_stderr():
        warnings.simplefilter("ignore")  # that TensorFlow's is going to be removed
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner(SIGNATURE)
    return lambda inputs: runner(**inputs)


STEP = StepFile("model.tflite", "int32", "1", write, open_step)
LITERT = STEP.format()
