"""The exported graph: prompts in, texts out, with the whole loop inside.

The text of a row is that of `textgen sample -p prompt --seed seed`. Every row is sample 0 of the seed, wherever it
stands in the batch, so two rows with the same prompt get the same text. Another seed gives another text.

NOTE: no XLA and no cuDNN here. A graph that holds a cuDNN operation, even in a branch that is never taken, does not
load on a machine without a GPU.
"""

from typing import Any

import tensorflow as tf

from textgen.config import SamplingConfig
from textgen.export.signature import as_function
from textgen.generation.barred import Barred
from textgen.generation.graph_ending import Ends, Tally, with_start
from textgen.generation.graph_network import Network, State, fold_weights
from textgen.generation.graph_philox import uniforms
from textgen.generation.graph_sampling import GraphBarred, acting, next_ids
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import Tokenizer
from textgen.tokenizers.graph_word import graph_tokenizer

UNIFORM_BLOCK = 256  # random numbers made at once


class TextModule(tf.Module):
    """A model's weights and tokenizer, and the function `generate` that writes with them."""

    def __init__(self, model: StoredModel):
        super().__init__(name="textgen")
        self.config, self.tokenizer = model.record.model, model.tokenizer
        self.graph_tokenizer = graph_tokenizer(model.tokenizer)
        folded = fold_weights(self.config, model.weights)
        self.weights = {name: tf.Variable(value, trainable=False, name=name) for name, value in folded.items()}
        self.generate = as_function(self.texts)

    def texts(self, prompt: tf.Tensor, settings: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Texts that continue `prompt`, string [B].

        Args:
            settings: scalars, as in `SamplingConfig`, in range.

        Returns:
            `signature.OUTPUTS`, string [B] each.
        """
        network = Network(self.config, {name: variable.read_value() for name, variable in self.weights.items()})
        prompt_ids = self.graph_tokenizer.tokenize(prompt)
        read_ids, lengths = with_start(prompt_ids, self.tokenizer)
        state = read_prompts(network, read_ids, lengths)
        latest = tf.gather(read_ids, lengths - 1, batch_dims=1)
        completion = self.graph_tokenizer.detokenize(write(network, state, latest, settings, self.tokenizer))
        text = tf.strings.join([self.graph_tokenizer.detokenize(prompt_ids), completion])
        return {"text": text, "completion": completion}


def read_prompts(network: Network, token_ids: tf.Tensor, lengths: tf.Tensor) -> State:
    """The state after the first `lengths` [B] of each row's `token_ids`, int32 [B, T]."""
    by_time = tf.transpose(token_ids)  # [T, B]

    def step(t: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        is_reading = (t < lengths)[:, None]
        keep = lambda new, old: tf.where(is_reading, new, old)  # noqa: E731
        return t + 1, tf.nest.map_structure(keep, network.advance(by_time[t], state), state)

    start = network.zero_state(tf.size(lengths))
    _, state = tf.while_loop(lambda t, _: t < tf.reduce_max(lengths), step, (0, start))
    return state


def write(
    network: Network, state: State, latest: tf.Tensor, settings: dict[str, tf.Tensor], tokenizer: Tokenizer
) -> tf.RaggedTensor:
    """Token ids that continue `state`, int32 [B, (T)]: up to the length, or to the end of the document.

    Args: latest: int32 [B], the ids that were read last.
    """
    ends, length, active = Ends(tokenizer), settings["length"], acting(settings)
    barred = GraphBarred.of(Barred.of(tokenizer, SamplingConfig()))
    group = tf.zeros_like(latest) if barred is None else tf.gather(barred.groups, latest)
    written = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[None])
    numbers = tf.zeros([UNIFORM_BLOCK, 1], tf.float64)  # made in the first step

    def step(
        t: tf.Tensor, state: State, group: tf.Tensor, tally: Tally, numbers: tf.Tensor, written: tf.TensorArray
    ) -> tuple[Any, ...]:
        place = t % UNIFORM_BLOCK
        numbers = tf.cond(tf.equal(place, 0), lambda: _uniform_block(settings["seed"], t), lambda: numbers)
        is_barred = None if barred is None else tf.gather(barred.masks, group)
        token_ids = next_ids(network.logits(state), numbers[place], settings, active, barred=is_barred)
        group = group if barred is None else tf.gather(barred.groups, token_ids)
        tally = ends.after(tally, token_ids, length)
        return t + 1, network.advance(token_ids, state), group, tally, numbers, written.write(t, token_ids)

    def goes_on(t: tf.Tensor, _state: State, _group: tf.Tensor, tally: Tally, *_: Any) -> tf.Tensor:
        return tf.equal(t, 0) | ends.want_more(tally, t, length)  # an empty batch takes one step, too

    loop = (0, state, group, Tally.at_start(tf.shape(state.hidden[-1])[0]), numbers, written)
    _, _, _, tally, _, written = tf.while_loop(goes_on, step, loop)
    return tf.RaggedTensor.from_tensor(tf.transpose(written.stack()), lengths=tally.kept)


def _uniform_block(seed: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Random numbers of sample 0 for tokens `first` and after, float64 [UNIFORM_BLOCK, 1]."""
    return uniforms(seed, tf.zeros([1], tf.int64), tf.cast(first, tf.int64), UNIFORM_BLOCK)
