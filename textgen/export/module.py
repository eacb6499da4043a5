"""The exported graph: prompts in, texts out, with the whole loop inside.

What goes in and comes out is the signature of `TextModule.generate`. Row by row the text is that of `textgen sample -p
prompt --seed seed`: every row is sample 0 of the seed, so it depends neither on its place in the batch nor on its
neighbours, and two rows with the same prompt get the same text. For another text, give another seed.

NOTE: no XLA and no cuDNN here. A graph that holds a cuDNN operation, even in a branch that is never taken, does not
load on a machine without a GPU.
"""

import dataclasses
import operator

import numpy as np
import tensorflow as tf

from textgen.config import SamplingConfig
from textgen.export.ends import Ends, Progress
from textgen.generation.generator import barred_ids
from textgen.generation.graph_network import Network, State, fold_weights
from textgen.generation.graph_sampling import Active, Rules, is_among, next_ids, uniforms
from textgen.model_store import StoredModel
from textgen.tokenizers.graph_word import graph_tokenizer
from textgen.tokenizers.word_pieces import MAX_PIECE

MAX_LENGTH = 1_000_000  # a request comes from a stranger
UNIFORM_BLOCK = 256  # random numbers made at once

INPUTS = {
    "prompt": tf.TensorSpec([None], tf.string, "prompt"),
    "length": tf.TensorSpec([], tf.int32, "length"),
    "temperature": tf.TensorSpec([], tf.float32, "temperature"),
    "top_k": tf.TensorSpec([], tf.int32, "top_k"),
    "top_p": tf.TensorSpec([], tf.float32, "top_p"),
    "min_p": tf.TensorSpec([], tf.float32, "min_p"),
    "seed": tf.TensorSpec([], tf.int64, "seed"),
}
OUTPUTS = {"text": "string [B]: the prompt as the model read it, and what it wrote", "completion": "string [B]"}


class TextModule(tf.Module):
    """A model's weights and tokenizer, and the function that writes with them."""

    def __init__(self, model: StoredModel):
        super().__init__(name="textgen")
        self.config = model.record.model
        self.tokenizer = graph_tokenizer(model.tokenizer)
        self.ends = Ends.of(model.tokenizer)
        self.barred = barred_ids(model.tokenizer, SamplingConfig())
        folded = fold_weights(self.config, model.weights)
        self.weights = {name: tf.Variable(value, trainable=False, name=name) for name, value in folded.items()}

    @tf.function(input_signature=list(INPUTS.values()), autograph=False)
    def generate(self, prompt, length, temperature, top_k, top_p, min_p, seed):
        """Texts that continue `prompt`, string [B]; the settings are scalars, as in `SamplingConfig`.

        Returns:
            `text` and `completion`, string [B] each.
        """
        settings = checked_settings(
            length=length, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, seed=seed
        )
        network = Network(self.config, {name: variable.read_value() for name, variable in self.weights.items()})
        prompt_ids = self.tokenizer.tokenize(prompt)
        state = read_prompts(network, prompt_ids, self.ends)
        completion = self.tokenizer.detokenize(write(network, state, settings, self.ends, self.barred))
        text = tf.strings.join([self.tokenizer.detokenize(prompt_ids), completion])
        return {"text": text, "completion": completion}


def checked_settings(**settings: tf.Tensor) -> dict[str, tf.Tensor]:
    """The settings of a request, float64 where they were float32, once all are found to be in range."""
    settings = {name: as_decimal(value) if value.dtype == tf.float32 else value for name, value in settings.items()}
    with tf.control_dependencies([check for name, value in settings.items() for check in _range_checks(name, value)]):
        return {name: tf.identity(value) for name, value in settings.items()}


def as_decimal(value: tf.Tensor) -> tf.Tensor:
    """The number that was meant by a float32, float64: the nearest with six significant digits.

    float32(0.8) is 0.800000012, and text drawn at that temperature may differ from text drawn at 0.8.
    """
    return tf.strings.to_number(tf.strings.as_string(value, shortest=True), tf.float64)


def _range_checks(name: str, value: tf.Tensor) -> list[tf.Operation]:
    """Assertions of the range that `SamplingConfig` gives the setting."""
    limits = next(field.metadata for field in dataclasses.fields(SamplingConfig) if field.name == name)
    maximum = MAX_LENGTH if name == "length" else limits["maximum"]
    rules = [
        ("at least", operator.ge, limits["minimum"]),
        ("above", operator.gt, limits["above"]),
        ("at most", operator.le, maximum),
    ]
    return [
        tf.debugging.Assert(holds(value, tf.constant(limit, value.dtype)), [f"{name} must be {words} {limit}", value])
        for words, holds, limit in rules
        if limit is not None
    ]


def read_prompts(network: Network, prompt_ids: tf.RaggedTensor, ends: Ends) -> State:
    """The state after each row's prompt, int32 [B, (T)], as `Generator.read` reads it.

    A document begins after the end of one; where there are no documents, an empty prompt is read as the start.
    """
    if ends.eod_id is not None:
        starts = tf.fill([prompt_ids.nrows(), 1], ends.start_id)
        prompt_ids = tf.concat([tf.RaggedTensor.from_tensor(starts), prompt_ids], axis=1)
    lengths = tf.cast(tf.maximum(prompt_ids.row_lengths(), 1), tf.int32)  # [B]
    padded = tf.pad(prompt_ids.to_tensor(ends.start_id), [[0, 0], [0, 1]], constant_values=ends.start_id)
    by_time = tf.transpose(padded)  # [T + 1, B]

    def step(t: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        is_reading = (t < lengths)[:, None]
        keep = lambda new, old: tf.where(is_reading, new, old)  # noqa: E731
        return t + 1, tf.nest.map_structure(keep, network.advance(by_time[t], state), state)

    start = network.zero_state(tf.size(lengths))
    _, state = tf.while_loop(lambda t, _: t < tf.reduce_max(lengths), step, (0, start))
    return state


def write(
    network: Network, state: State, settings: dict[str, tf.Tensor], ends: Ends, barred: np.ndarray | None
) -> tf.RaggedTensor:
    """Token ids that continue `state`, int32 [B, (T)]: up to the length, or to the end of the document.

    Args:
        barred: int [N], ids that are not to be written; None is none.
    """
    num_ids = network.config.vocabulary_size
    is_barred = None if barred is None else is_among(barred, num_ids)
    temperature, top_k, top_p = settings["temperature"], settings["top_k"], settings["top_p"]
    rules = Rules(temperature, top_k, top_p, settings["min_p"], log_penalty=tf.zeros([], tf.float64))
    top = ((top_k > 0) & (top_k < num_ids)) | (top_p < 1)
    active = Active(penalty=False, greedy=tf.equal(temperature, 0), top=top)
    batch_size = tf.shape(state.hidden[-1])[0]
    written = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[None])
    numbers = tf.zeros([UNIFORM_BLOCK, 1], tf.float64)  # made in the first step

    def step(t: tf.Tensor, state: State, progress: Progress, numbers: tf.Tensor, written: tf.TensorArray) -> tuple:
        place = t % UNIFORM_BLOCK
        numbers = tf.cond(tf.equal(place, 0), lambda: _uniform_block(settings["seed"], t), lambda: numbers)
        token_ids = next_ids(network.logits(state), numbers[place], rules, active, barred=is_barred)
        progress = ends.after(progress, token_ids, settings["length"])
        return t + 1, network.advance(token_ids, state), progress, numbers, written.write(t, token_ids)

    def goes_on(t: tf.Tensor, _state, progress: Progress, *_) -> tf.Tensor:
        within = tf.cast(t, tf.int64) < tf.cast(settings["length"], tf.int64) * MAX_PIECE
        return tf.equal(t, 0) | (within & tf.reduce_any(~progress.is_over))

    loop = (0, state, Progress.at_start(batch_size), numbers, written)
    _, _, progress, _, written = tf.while_loop(goes_on, step, loop)
    return tf.RaggedTensor.from_tensor(tf.transpose(written.stack()), lengths=progress.kept)


def _uniform_block(seed: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Random numbers of sample 0 for tokens `first` and after, float64 [UNIFORM_BLOCK, 1]."""
    return uniforms(seed, tf.zeros([1], tf.int64), tf.cast(first, tf.int64), UNIFORM_BLOCK)
