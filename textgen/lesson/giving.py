"""The whole lesson: four models on two tasks, what a character costs each, and the adding problem."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from textgen.lesson.adding import learn_to_add
from textgen.lesson.contestants import Model, Size, begin, writer
from textgen.lesson.costs import CONTEXTS, measure_cost
from textgen.lesson.delays import Copying
from textgen.lesson.learning import learn
from textgen.lesson.results import KINDS, Cost, Learned, Lesson
from textgen.lesson.tasks import delay_task, text_task
from textgen.lesson.text import Text
from textgen.messages import in_words
from textgen.model.devices import choose_device

SHARES = {"delay": 0.4, "text": 0.5, "adding": 0.1}  # of the minutes
SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 160, 0.7


class Sizes(NamedTuple):
    """How large everything is."""

    delay: Size = Size(48, 1, 16, 2, 2)
    text: Size = Size(128, 2, 64, 4, 4)
    longest_delay: int = 60
    added: int = 50  # numbers of the adding problem
    batch_size: int = 16  # of text
    window: int = 128
    tested: int = 16  # times 64 windows of text
    contexts: tuple[int, ...] = CONTEXTS


def give_lesson(text: Text, minutes: float, told: Callable[[str], None], sizes: Sizes = Sizes()) -> Lesson:  # noqa: B008
    """Train and measure everything; `minutes` is the time of all training together.

    Nothing is compiled by XLA on a GPU, where cuDNN's kernel has no such form, nor for less than a minute, in which it
    would not pay.
    """
    compiled = choose_device().name == "CPU" and minutes >= 1
    each = {part: share * minutes * 60 for part, share in SHARES.items()}
    for_one = (each["delay"] / len(KINDS), each["text"] / len(KINDS))
    remembering = delay_task(Copying(sizes.longest_delay), sizes.delay)
    delay = [learn(kind, remembering, for_one[0], told, compiled=compiled)[0] for kind in KINDS]
    reading = text_task(text, sizes.text, sizes.batch_size, sizes.window, sizes.tested)
    learned, costs = [], []
    for kind in KINDS:
        result, model = learn(kind, reading, for_one[1], told, compiled=compiled)
        learned.append(result._replace(sample=_sample(model, text, sizes.window, compiled)))
        costs += measure_cost(kind, model, compiled=compiled, contexts=sizes.contexts)
    return Lesson(
        text_name=text.name,
        characters=len(text.ids),
        symbols=len(text.symbols),
        minutes=minutes,
        longest=sizes.longest_delay,
        window=sizes.window,
        seconds_each=for_one,
        delay=delay,
        text=learned,
        costs=costs,
        adding=learn_to_add(sizes.added, each["adding"], told),
    )


def _sample(model: Model, text: Text, window: int, compiled: bool) -> str:
    """What the model writes after the most frequent symbol, as its own text."""
    first = np.bincount(text.training).argmax()
    write = writer(model, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, compiled=compiled)
    written, _ = write(tf.constant([first], tf.int32), begin(model, window), tf.constant(1))
    return text.decode(written.numpy())


def summary(lesson: Lesson) -> list[str]:
    """The lesson as a table of a few lines."""
    last = lesson.costs[-1].context
    heads = (f"after {lesson.longest}", "bits", f"gradient {lesson.longest} back", f"µs at {last:,}", f"kB at {last:,}")
    lines = [f"{'':<12}{heads[0]:>10}{heads[1]:>8}{heads[2]:>20}{heads[3]:>14}{heads[4]:>14}"]
    rows: list[tuple[Learned, Learned, Cost]] = [
        (one, other, next(cost for cost in lesson.costs if (cost.kind, cost.context) == (one.kind, last)))
        for one, other in zip(lesson.delay, lesson.text, strict=True)
    ]
    for one, other, cost in rows:
        kept, time = cost.kept_bytes / 1e3, cost.seconds * 1e6
        right = one.accuracy[max(one.accuracy)]
        cells = f"{right:>10.0%}{other.loss / np.log(2):>8.2f}{one.gradient[-1]:>20.1e}{time:>14,.0f}{kept:>14,.1f}"
        lines.append(f"{KINDS[one.kind]:<12}{cells}")
    adding = lesson.adding
    best = min(lesson.text, key=lambda one: one.loss)
    return [
        *lines,
        "",
        f"after {lesson.longest}: the share of symbols that are remembered after so many tokens",
        f"bits: on {lesson.text_name}; the best is the {KINDS[best.kind]}, {in_words(best.loss / np.log(2))}",
        f"adding: the LSTM adds two of {adding.length} numbers, and is right in {adding.right[-1][1]:.0%}",
    ]
