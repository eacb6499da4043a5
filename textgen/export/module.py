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
from textgen.generation.graph_banning import tables
from textgen.generation.graph_ending import Ends, Tally, with_start
from textgen.generation.graph_network import Network, State, fold_weights
from textgen.generation.graph_past import Empty, Follower, GraphBarred, GraphUnits, Past, penalises
from textgen.generation.graph_philox import uniforms
from textgen.generation.graph_sampling import acting, chosen, rules_at
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
            settings: as in `SamplingConfig`, in range; the temperatures a row.

        Returns:
            `signature.OUTPUTS`, string [B] each.
        """
        network = Network(self.config, {name: variable.read_value() for name, variable in self.weights.items()})
        prompt_ids = self.graph_tokenizer.tokenize(prompt)
        read_ids, lengths = with_start(prompt_ids, self.tokenizer)
        follower = follower_of(settings, self.tokenizer)
        state, past = read_prompts(network, follower, read_ids, lengths)
        completion = self.graph_tokenizer.detokenize(write(network, state, past, follower, self.tokenizer))
        text = tf.strings.join([self.graph_tokenizer.detokenize(prompt_ids), completion])
        return {"text": text, "completion": completion}


def follower_of(settings: dict[str, tf.Tensor], tokenizer: Tokenizer) -> Follower:
    """What the rules of a request make of texts."""
    active, eod_id, num_ids = acting(settings), tokenizer.eod_id, tokenizer.vocabulary_size
    words = GraphBarred.of(Barred.of(tokenizer, SamplingConfig()))
    groups, masks = (tf.zeros([num_ids], tf.int32), ()) if words is None else words[:2]
    units: GraphUnits | Empty = ()
    if eod_id is not None:
        is_eod = tf.equal(tf.range(num_ids), eod_id)
        units = GraphUnits(
            settings["min_length"], is_eod, *map(tf.constant, (tokenizer.continues, tokenizer.continued))
        )
    banned = tables(settings["ban"], tokenizer)
    asks = (
        penalises(active) | active["no_repeat_ngram"] | (tf.shape(banned.begins)[1] > 0) | (settings["min_length"] > 0)
    )
    return Follower(settings, active, GraphBarred(groups, masks, banned, units), num_ids, asks)


def read_prompts(network: Network, follower: Follower, token_ids: tf.Tensor, lengths: tf.Tensor) -> tuple[State, Past]:
    """What is known after the first `lengths` [B] of each row's `token_ids`, int32 [B, T]."""
    by_time = tf.transpose(token_ids)  # [T, B]

    def step(t: tf.Tensor, state: State, past: Past) -> tuple[tf.Tensor, State, Past]:
        is_reading = t < lengths
        keep = lambda new, old: tf.where(is_reading[:, None], new, old)  # noqa: E731
        state = tf.nest.map_structure(keep, network.advance(by_time[t], state), state)
        return t + 1, state, follower.after_some(past, by_time[t], is_reading)

    start = (network.zero_state(tf.size(lengths)), follower.at_start(tf.size(lengths)))
    _, state, past = tf.while_loop(lambda t, *_: t < tf.reduce_max(lengths), step, (0, *start))
    return state, past


def write(network: Network, state: State, past: Past, follower: Follower, tokenizer: Tokenizer) -> tf.RaggedTensor:
    """Token ids that continue `state`, int32 [B, (T)]: up to the length, or to the end of the document."""
    settings, active = follower.rules, follower.active
    ends, length = Ends(tokenizer), settings["length"]
    written = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[None])
    numbers = tf.zeros([UNIFORM_BLOCK, 1], tf.float64)  # made in the first step

    def step(
        t: tf.Tensor, state: State, past: Past, tally: Tally, numbers: tf.Tensor, written: tf.TensorArray
    ) -> tuple[Any, ...]:
        place = t % UNIFORM_BLOCK
        numbers = tf.cond(tf.equal(place, 0), lambda: _uniform_block(settings["seed"], t), lambda: numbers)
        scores = follower.scores(network.logits(state), past)
        token_ids = chosen(scores, numbers[place], *rules_at(t, settings, active))
        tally = ends.after(tally, token_ids, length)
        token_ids = tf.maximum(token_ids, 0)
        past = follower.after(past, token_ids)
        return t + 1, network.advance(token_ids, state), past, tally, numbers, written.write(t, token_ids)

    def goes_on(t: tf.Tensor, _state: State, _past: Past, tally: Tally, *_: Any) -> tf.Tensor:
        return tf.equal(t, 0) | ends.want_more(tally, t, length)  # an empty batch takes one step, too

    loop = (0, state, past, Tally.at_start(tf.shape(state.hidden[-1])[0]), numbers, written)
    _, _, _, tally, _, written = tf.while_loop(goes_on, step, loop)
    return tf.RaggedTensor.from_tensor(tf.transpose(written.stack()), lengths=tally.kept)


def _uniform_block(seed: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Random numbers of sample 0 for tokens `first` and after, float64 [UNIFORM_BLOCK, 1]."""
    return uniforms(seed, tf.zeros([1], tf.int64), tf.cast(first, tf.int64), UNIFORM_BLOCK)
