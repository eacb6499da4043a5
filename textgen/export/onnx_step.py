"""The network's step as ONNX. onnxruntime runs it."""

from pathlib import Path
from typing import Any

import numpy as np

from textgen.config import ModelConfig
from textgen.errors import ExportError
from textgen.export.requests import CannotRunError
from textgen.export.step import Run, StepFile, states_of
from textgen.store import atomic
from textgen.store.model_directory import StoredModel

OPSET = 17


def write(model: StoredModel, path: Path) -> None:
    """Write the step of `model`. Raises ExportError without the package onnx, and OSError."""
    atomic.write_bytes(path, step_of(model.record.model, model.weights))


def step_of(config: ModelConfig, weights: dict[str, np.ndarray]) -> bytes:
    """The step as a serialised ONNX model of one graph. Raises ExportError without the package onnx."""
    try:
        from onnx import TensorProto, checker, helper, numpy_helper  # noqa: PLC0415
    except ImportError:
        raise ExportError("--format onnx needs the package onnx. Install it: pip install 'textgen[onnx]'") from None
    steps = _Steps(config)
    outputs = steps.network()
    L, H = config.num_layers, config.units
    shapes = {name: ["batch", L, H] for name in ("hidden", "memory")}
    value = helper.make_tensor_value_info
    states = states_of(config)
    graph = helper.make_graph(
        [helper.make_node(kind, list(inputs), list(made), **facts) for kind, inputs, made, facts in steps.nodes],
        "step",
        [value("token_id", TensorProto.INT64, ["batch"])]
        + [value(name, TensorProto.FLOAT, shapes[name]) for name in states],
        [value("logits", TensorProto.FLOAT, ["batch", config.vocabulary_size])]
        + [value(f"{name}_after", TensorProto.FLOAT, shapes[name]) for name in states],
        [numpy_helper.from_array(tensor, name) for name, tensor in (weights | steps.constants).items()],
    )
    assert outputs == [output.name for output in graph.output]
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="textgen")
    checker.check_model(made)
    return made.SerializeToString()


class _Steps:
    """The nodes of the graph, in the order in which they run; the weights keep their names."""

    def __init__(self, config: ModelConfig):
        self.config = config
        self.nodes: list[tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]]] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, kind: str, *inputs: str, name: str = "", **facts: Any) -> str:
        """One node with one output, whose name comes back."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append((kind, inputs, (name,), facts))
        return name

    def split(self, value: str, count: int, axis: int) -> tuple[str, ...]:
        """`value` in equal parts."""
        sizes = f"sizes_{len(self.nodes)}"
        width = 1 if axis == 1 else self.config.units
        self.constants[sizes] = np.full(count, width, np.int64)
        names = tuple(f"{value}_part_{part}_{len(self.nodes)}" for part in range(count))
        self.nodes.append(("Split", (value, sizes), names, {"axis": axis}))
        return names

    def network(self) -> list[str]:
        """All nodes; the names of the outputs."""
        config, L = self.config, self.config.num_layers
        self.constants["layer_axis"] = np.array([1], np.int64)
        hidden = self._layers("hidden")
        memory = self._layers("memory") if config.cell == "lstm" else [""] * L
        below = self.add("Gather", "embedding", "token_id", axis=0)
        after: list[tuple[str, str]] = []
        for index in range(L):
            after.append(getattr(self, config.cell)(f"layers.{index}", below, hidden[index], memory[index]))
            below = after[-1][0]
        features = self.add("Concat", *(own for own, _ in after), axis=1) if config.skip else below
        self._scores(features)
        outputs = ["logits", self._stacked("hidden", [own for own, _ in after])]
        return outputs + ([self._stacked("memory", [cells for _, cells in after])] if config.cell == "lstm" else [])

    def _layers(self, state: str) -> list[str]:
        parts = self.split(state, self.config.num_layers, axis=1) if self.config.num_layers > 1 else (state,)
        return [self.add("Squeeze", part, "layer_axis") for part in parts]

    def _stacked(self, state: str, parts: list[str]) -> str:
        layers = [self.add("Unsqueeze", part, "layer_axis") for part in parts]
        return self.add("Concat", *layers, name=f"{state}_after", axis=1)

    def _scores(self, features: str) -> None:
        config = self.config
        if config.tied and (config.features != config.units or config.embedding_size != config.units):
            features = self.add("MatMul", features, "output.projection")
        kernel = self.add("Transpose", "embedding", perm=[1, 0]) if config.tied else "output.kernel"
        self.add("Add", self.add("MatMul", features, kernel), "output.bias", name="logits")

    def lstm(self, layer: str, below: str, hidden: str, memory: str) -> tuple[str, str]:
        """The new hidden state and memory of an LSTM."""
        sums = self.add("Add", self.add("MatMul", below, f"{layer}.kernel"), f"{layer}.bias")
        sums = self.add("Add", sums, self.add("MatMul", hidden, f"{layer}.recurrent_kernel"))
        gates = self.split(sums, 4, axis=-1)
        input_gate, forget_gate, output_gate = (self.add("Sigmoid", gates[place]) for place in (0, 1, 3))
        kept = self.add("Mul", forget_gate, memory)
        memory = self.add("Add", kept, self.add("Mul", input_gate, self.add("Tanh", gates[2])))
        return self.add("Mul", output_gate, self.add("Tanh", memory)), memory

    def gru(self, layer: str, below: str, hidden: str, memory: str) -> tuple[str, str]:
        """The new hidden state of a GRU, whose reset acts after the product."""
        self.constants |= {"first": np.array(0, np.int64), "second": np.array(1, np.int64)}
        biases = [self.add("Gather", f"{layer}.bias", place, axis=0) for place in ("first", "second")]
        update, reset, candidate = self.split(
            self.add("Add", self.add("MatMul", below, f"{layer}.kernel"), biases[0]), 3, axis=-1
        )
        own = self.split(
            self.add("Add", self.add("MatMul", hidden, f"{layer}.recurrent_kernel"), biases[1]), 3, axis=-1
        )
        update = self.add("Sigmoid", self.add("Add", update, own[0]))
        reset = self.add("Sigmoid", self.add("Add", reset, own[1]))
        candidate = self.add("Tanh", self.add("Add", candidate, self.add("Mul", reset, own[2])))
        kept = self.add("Mul", update, self.add("Sub", hidden, candidate))
        return self.add("Add", candidate, kept), memory

    def rnn(self, layer: str, below: str, hidden: str, memory: str) -> tuple[str, str]:
        """The new hidden state of a plain RNN."""
        sums = self.add("Add", self.add("MatMul", below, f"{layer}.kernel"), f"{layer}.bias")
        return self.add("Tanh", self.add("Add", sums, self.add("MatMul", hidden, f"{layer}.recurrent_kernel"))), memory


def open_step(content: bytes) -> Run:
    """What runs the step, on one core. Raises CannotRunError without onnxruntime."""
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        raise CannotRunError(
            "onnxruntime is not installed, so its texts were not compared with the NumPy engine's"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


STEP = StepFile("model.onnx", "int64", "batch", write, open_step)
ONNX = STEP.format()
