"""The output layer: exact losses in blocks of rows, and the losses against a sample, compared with plain NumPy."""

import re

import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, slow
from test_negatives import every_sample, zipf_counts

from textgen.model.negatives import Negatives, NegativeSampler
from textgen.model.output import OutputLayer, Scorer, losses_in_blocks, sampled_losses

both_layouts = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])


def problem(tied: bool, N: int = 13, V: int = 50, D: int = 4, scale: float = 1.0):
    """Rows [N, D], targets [N] and a scorer, random; the smaller `scale`, the less sure it is."""
    draw = np.random.default_rng(0)
    matrix = scale * draw.normal(size=(V, D)).astype(np.float32)
    bias = tf.constant(scale * draw.normal(size=V), tf.float32)
    scorer = Scorer(tf.constant(matrix if tied else matrix.T), bias, tied)
    return tf.constant(draw.normal(size=(N, D)), tf.float32), tf.constant(draw.integers(V, size=N), tf.int32), scorer


def logits_in_numpy(rows, scorer: Scorer) -> np.ndarray:
    matrix = scorer.matrix.numpy().astype(np.float64)
    return rows.numpy() @ (matrix.T if scorer.tied else matrix) + scorer.bias.numpy()


def losses_in_numpy(rows, targets, scorer: Scorer) -> np.ndarray:
    logits = logits_in_numpy(rows, scorer)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), targets]


def losses_and_gradients(losses_of, rows, targets, scorer: Scorer):
    """Losses, and the gradients of a weighted sum of them in rows, matrix and bias."""
    watched = [rows, scorer.matrix, scorer.bias]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        losses = losses_of(rows, targets, scorer)
        total = tf.reduce_sum(losses * tf.cos(tf.range(losses.shape[0], dtype=tf.float32)))
    return losses, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, watched)]


def exact_losses(rows, targets, scorer):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scorer.logits(rows))


# ---- the layer's weights


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ({}, ["output.kernel", "output.bias"]),
        ({"tied": True}, ["output.projection", "output.bias"]),
        ({"tied": True, "units": 4}, ["output.bias"]),
    ],
)
def test_a_layer_has_the_weights_it_needs(shape, names):
    layer = OutputLayer(model_config(**({"vocabulary_size": 9, "embedding_size": 4, "units": 6} | shape)), seed=0)
    layer.build()
    assert sorted(layer.named_weights()) == sorted(names)
    assert len(layer.trainable_variables) == len(names)


@both_layouts
def test_scores_of_some_tokens_are_those_of_all_at_their_places(tied):
    rows, _, scorer = problem(tied)
    token_ids = tf.constant([4, 0, 49, 4])
    weights, bias = scorer.select(token_ids)
    found = tf.matmul(rows, weights, transpose_b=True) + bias
    np.testing.assert_allclose(found, tf.gather(scorer.logits(rows), token_ids, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scorer.logits(rows), logits_in_numpy(rows, scorer), rtol=1e-5, atol=1e-5)


# ---- exact, in blocks


@both_layouts
@pytest.mark.parametrize(
    ("max_logits", "xla"),
    [(1, False), (100, False), (350, False), (10**6, False), (350, True), *(slow(n, True) for n in (1, 100, 10**6))],
)
def test_losses_in_blocks_and_their_gradients_are_those_of_all_logits_at_once(tied, max_logits, xla):
    rows, targets, scorer = problem(tied)

    @tf.function(jit_compile=xla, autograph=False)
    def in_blocks(rows, targets, scorer):
        return losses_in_blocks(rows, targets, scorer, max_logits)

    def run(rows, targets, scorer):
        return in_blocks(rows, targets, Scorer(scorer.matrix, scorer.bias, tied))

    losses, gradients = losses_and_gradients(run, rows, targets, scorer)
    np.testing.assert_allclose(losses, losses_in_numpy(rows, targets, scorer), rtol=1e-5)
    _, expected = losses_and_gradients(exact_losses, rows, targets, scorer)
    for gradient, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5)


def largest_array(losses_of, *arguments) -> int:
    """Numbers in the largest array of the compiled losses and gradients."""
    rows, targets, scorer = arguments

    @tf.function(jit_compile=True, autograph=False)
    def compiled(rows, targets, matrix, bias):
        return losses_and_gradients(losses_of, rows, targets, Scorer(matrix, bias, scorer.tied))

    text = compiled.experimental_get_compiler_ir(rows, targets, scorer.matrix, scorer.bias)(stage="optimized_hlo")
    shapes = re.findall(r"\bf32\[([\d,]+)\]", text)
    return max(int(np.prod([int(size) for size in shape.split(",")])) for shape in shapes)


@both_layouts
def test_no_more_logits_exist_than_allowed(tied):
    arguments = problem(tied, N=600, V=1000)
    assert largest_array(exact_losses, *arguments) == 600 * 1000
    limit = 8000  # larger than rows and matrix, so that only logits could be larger
    assert largest_array(lambda *a: losses_in_blocks(*a, max_logits=limit), *arguments) <= limit


@both_layouts
def test_a_sample_keeps_most_logits_from_existing(tied):
    negatives = NegativeSampler(zipf_counts(1000), 10, seed=0).draw(0)
    found = largest_array(lambda *a: sampled_losses(*a, negatives), *problem(tied, N=600, V=1000))
    assert found <= 600 * 10


# ---- against a sample


@both_layouts
def test_a_sample_of_all_tokens_gives_the_exact_losses_and_gradients(tied):
    rows, targets, scorer = problem(tied)
    negatives = NegativeSampler(zipf_counts(), 50, seed=0).draw(0)
    losses, gradients = losses_and_gradients(lambda *a: sampled_losses(*a, negatives), rows, targets, scorer)
    np.testing.assert_allclose(losses, losses_in_numpy(rows, targets, scorer), rtol=1e-5)
    _, expected = losses_and_gradients(exact_losses, rows, targets, scorer)
    for gradient, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5)


def test_a_loss_worked_by_hand():
    """Logits 0, 1, 2, 3. The target is 1; 0 is in every second sample and 3 in every one."""
    scorer = Scorer(tf.constant([[0.0], [1.0], [2.0], [3.0]]), tf.zeros(4), tied=True)
    negatives = Negatives(np.int32([0, 3]), np.log(np.float32([0.5, 1.0])))
    loss = sampled_losses(tf.ones([1, 1]), tf.constant([1]), scorer, negatives)
    expected = np.log(np.exp(1) + np.exp(0) / 0.5 + np.exp(3)) - 1
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)


def test_a_sampled_token_that_is_the_target_does_not_count_twice():
    rows, targets, scorer = problem(tied=True, N=1)
    others = Negatives(np.int32([7, 9]), np.float32([-1, -2]))
    with_target = Negatives(np.append(others.token_ids, targets), np.append(others.log_probabilities, np.float32(-3)))
    np.testing.assert_array_equal(
        sampled_losses(rows, targets, scorer, with_target), sampled_losses(rows, targets, scorer, others)
    )


@both_layouts
@pytest.mark.parametrize("num_sampled", [3, 20])
def test_the_normaliser_is_right_on_average_over_all_samples(tied, num_sampled):
    """exp(loss + the target's logit) is the estimate of the sum of exp(logit) over all tokens."""
    rows, targets, scorer = problem(tied)
    logits = logits_in_numpy(rows, scorer)
    right = logits[np.arange(len(logits)), targets]
    sampler, mean, spread = NegativeSampler(zipf_counts(), num_sampled, seed=0), 0.0, []
    for probability, negatives in every_sample(sampler, 50):
        estimate = np.exp(sampled_losses(rows, targets, scorer, negatives).numpy() + right)
        mean = mean + probability * estimate
        spread.append(estimate)
    expected = np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    assert np.std(spread, axis=0).min() > 0.01 * expected.min()  # the samples do differ


def mean_gradient(num_sampled: int, correction: float = 1.0) -> np.ndarray:
    """Of the losses in the matrix, over all samples; `correction` 0 forgets how likely the sampled tokens were."""
    arguments, mean = problem(tied=True, scale=0.3), 0.0
    for probability, negatives in every_sample(NegativeSampler(zipf_counts(), num_sampled, seed=0), 50):
        used = Negatives(negatives.token_ids, correction * negatives.log_probabilities)
        _, gradients = losses_and_gradients(lambda *a, used=used: sampled_losses(*a, used), *arguments)
        mean = mean + probability * gradients[1].numpy()
    return mean


def test_the_gradient_approaches_the_exact_one_as_the_sample_grows():
    _, (_, exact, _) = losses_and_gradients(exact_losses, *problem(tied=True, scale=0.3))
    errors = [np.linalg.norm(mean_gradient(K) - exact) / np.linalg.norm(exact) for K in (2, 10, 40)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01
    uncorrected = np.linalg.norm(mean_gradient(10, correction=0) - exact) / np.linalg.norm(exact)
    assert uncorrected > 3 * errors[1]


def test_very_large_scores_stay_finite():
    scorer = Scorer(tf.constant([[1000.0], [-1000.0], [0.0]]), tf.zeros(3), tied=True)
    negatives = Negatives(np.int32([0, 1, 2]), np.float32([0, -1, -2]))
    rows = tf.constant([[1.0], [-1.0], [1.0]])
    targets = tf.constant([0, 0, 2])
    losses, gradients = losses_and_gradients(lambda *a: sampled_losses(*a, negatives), rows, targets, scorer)
    np.testing.assert_allclose(losses, [0, 2001, 1000], rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
