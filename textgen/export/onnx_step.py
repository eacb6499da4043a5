"""The network's step as ONNX, for other languages and for phones: from a token and a state to scores and a state.

Beside `model.onnx` stands `model.json`: how to call it, the document of `document.py` (vocabulary, tables, what a word
model does not write), the rules of sampling in sentences, and texts by which a program of one's own can be compared.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from textgen.config import ModelConfig, SamplingConfig
from textgen.errors import ExportError
from textgen.export.check import check_prompts
from textgen.export.document import model_document
from textgen.export.requests import CHECKED, SETTINGS, Answers, CannotRunError, Requests, request_of, simple
from textgen.export.writing import Format
from textgen.generation.barred import Barred
from textgen.generation.generator import Generator, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.past import Past
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.generation.state import Context
from textgen.generation.steering import Steering
from textgen.messages import shown
from textgen.store import atomic
from textgen.store.model_directory import StoredModel

OPSET = 17
STEP, DESCRIPTION = "model.onnx", "model.json"
RULES = [
    "A text begins with startId where eodId is a number, and where there is nothing else to read.",
    "A symbol of a prompt that is not in `symbols` first joins the symbol before it (`together`); then its form "
    "(`forms`) stands for it, or nothing. A prompt of a word model loses one space at its end.",
    "A word model reads a piece of text as one id where `words` has it, else as the ids of its symbols. The classes of "
    "symbols are 0 space, 1 blank, 2 letter, 3 number, 4 other, 5 ideograph, 7 mark, 8 apostrophe.",
    "Of each id among the last repeat_last_n, read or written, the score is reduced by log(repeat_penalty), by "
    "presence_penalty, and by frequency_penalty for each time that it is among them.",
    "Ids whose digit in barred[group] is 1 are not drawn; group is the digit in `groups` of the latest id. Nor is an "
    "id that would write a run of no_repeat_ngram ids that begins among the last 4096, nor eodId before min_length "
    "units. Where no id is left, the text ends.",
    "Temperature 0 takes the likeliest id, the first of equals. Otherwise the weights are exp((score - best) / "
    "temperature), in double precision.",
    "top_k keeps the k largest weights, top_p the smallest set whose share of the sum reaches it, min_p those of at "
    "least that share of the largest; in this order, and of equals all or none. typical comes last: of what is left it "
    "keeps the ids for which -log(share) is nearest to its mean, as many as reach that share of the sum.",
    "The first id is drawn whose cumulative weight exceeds the random number times the sum.",
    "The random number of token n under a seed is Philox4x32-10 with the counter (low word of n, high word of n, high "
    "word of the seed, 0) and the key (low word of the seed, 0): the first 32 bits of the first word, then the first "
    "21 bits of the second, divided by 2**53.",
    "The text ends before eodId, and after `length` units. An id goes on with the unit of the id before it where that "
    "has a 1 in `continued` and it has a 1 in `continues`.",
]


def write(model: StoredModel, directory: Path) -> None:
    """Write `model` into the empty `directory`.

    Raises:
        ExportError: the package onnx is not installed.
        OSError: it cannot be written.
    """
    atomic.write_bytes(directory / STEP, step_of(model.record.model, model.weights))
    atomic.write_bytes(directory / DESCRIPTION, atomic.to_json_bytes(_description(model)))


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
    states = [name for name in ("hidden", "memory") if name == "hidden" or config.cell == "lstm"]
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


def _description(model: StoredModel) -> dict[str, Any]:
    config = model.record.model
    state = f"float32 [batch, {config.num_layers}, {config.units}]"
    states = ["hidden", "memory"] if config.cell == "lstm" else ["hidden"]
    generator, prompts = open_generator(model), check_prompts(model)
    texts = [
        request_of([prompt], sampling) | {"completion": generator.generate(prompt, sampling)[0].completion}
        for sampling in (simple(config, 40) for config in CHECKED)
        for prompt in prompts
    ]
    return {
        "format": 1,
        "model": shown(model.name),
        "model_sha256": model.sha256,
        "inputs": {"token_id": "int64 [batch]"} | {name: f"{state}, zeros before the first token" for name in states},
        "outputs": {"logits": f"float32 [batch, {config.vocabulary_size}], scores of the next token"}
        | {f"{name}_after": f"{state}, to be given as {name} with the next token" for name in states},
        "rules": RULES,
        "document": model_document(model),
        "texts": texts,
    }


class StepEngine:
    """An engine that runs an exported step, for its check."""

    def __init__(self, path: Path, model: StoredModel):
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError:
            raise CannotRunError(
                "onnxruntime is not installed, so its texts were not compared with the NumPy engine's"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime's own classes, which are not part of its interface
            raise ExportError(f"the exported model does not run: {str(problem).splitlines()[0]}") from None
        self.model, self.config = model, model.record.model
        self.states = ["hidden", "memory"] if self.config.cell == "lstm" else ["hidden"]

    def in_numpy(self) -> NumpyEngine:
        """See `Engine`."""
        return NumpyEngine(self.config, self.model.weights)

    def read(self, token_ids: np.ndarray, context: Context | None = None) -> Context:
        """See `Engine`."""
        config = self.config
        context = context or Context.empty(config.num_layers, config.units, config.vocabulary_size)
        for token_id in token_ids.tolist():
            inputs = {name: getattr(context, name)[None] for name in self.states}
            logits, *after = self.session.run(None, {"token_id": np.array([token_id], np.int64)} | inputs)
            state = {name: value[0] for name, value in zip(self.states, after, strict=True)}
            recent = np.append(context.recent, np.int32(token_id))
            context = Context(state["hidden"], state.get("memory", context.memory), logits[0], recent)
        return context

    def write(
        self,
        context: Context,
        config: SamplingConfig,
        samples: np.ndarray,
        barred: Barred | None = None,
        steering: Steering | None = None,
    ) -> Iterator[np.ndarray]:
        """See `Engine`; of one sample, and without steering."""
        past = Past(context, config, 1, barred)
        for place in itertools.count():
            uniform = uniforms(config.seed, samples, place, 1)[0]
            token_ids = next_ids(context.logits[None], uniform, config.at(place), past.recent, past.barred_ids())
            past.advance(token_ids)
            yield token_ids[None].astype(np.int32)
            context = self.read(token_ids, context)


def answer(model: StoredModel, directory: Path, requests: Requests) -> Answers:
    """Answers of the step in `directory`, which onnxruntime runs. Raises CannotRunError where that is not installed."""
    generator = Generator(model.tokenizer, StepEngine(directory / STEP, model))
    answers = []
    for request in requests:
        values: dict[str, Any] = {name: request[name] for name in SETTINGS}
        for name in values:
            values[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
        config = SamplingConfig(**values)
        texts = [generator.generate(prompt, config)[0] for prompt in request["prompt"]]
        completions = [text.completion for text in texts]
        answers.append({"text": [text.prompt + text.completion for text in texts], "completion": completions})
    return answers


ONNX = Format(STEP, re.compile(r"model\.(onnx|json)"), write, answer)
