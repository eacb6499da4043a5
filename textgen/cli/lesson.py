"""`textgen lesson`: what recurrent cells forget, measured on the spot, beside a small Transformer."""

from typing import Any

import click

from textgen.cli.options import given, options_of
from textgen.cli.pages import check_page, html_option, write_page
from textgen.config import TextConfig
from textgen.streams import tell, write_lines

MOST_MINUTES = 24 * 60.0


@click.command()
@click.argument("corpus", nargs=-1)
@click.option("--minutes", type=float, default=10.0, show_default=True, help="Minutes of all training together.")
@html_option("the curves, the samples, and what they mean")
@options_of(TextConfig, skip=("level", "vocabulary_size"))
def lesson(corpus: tuple[str, ...], minutes: float, html: str | None, **flags: Any) -> None:
    """Train four small networks, and show what each remembers and costs.

    A plain RNN, a GRU, an LSTM and a Transformer of equal size learn to remember a symbol over a distance, and to read
    CORPUS by characters. CORPUS is whatever `train` takes; without it, they read the starter corpus. An LSTM learns to
    add two of fifty numbers.

    Compiling and measuring take some minutes more than the training. With a minute or more, the networks are
    compiled by XLA, TensorFlow's compiler.
    """
    from textgen.corpus import open_corpus
    from textgen.errors import SettingError
    from textgen.lesson.text import Text
    from textgen.tensorflow_runtime import quiet_import

    if not 0 < minutes <= MOST_MINUTES:
        raise SettingError(f"`minutes` must be above 0 and at most {MOST_MINUTES:,.0f}. Received: {minutes}")
    if html is not None:
        check_page(html)
    reader = open_corpus(corpus, TextConfig(**given(flags)))
    text = Text(reader.blocks(), reader.name)
    quiet_import()
    from textgen.lesson.giving import give_lesson, summary
    from textgen.lesson.page import lesson_page

    tell(f"textgen: the lesson has {minutes:g} minutes of training; compiling and measuring come on top")
    learned = give_lesson(text, minutes, lambda line: tell(f"textgen: {line}"))
    write_lines(summary(learned))
    if html is not None:
        write_page(html, lesson_page(learned))
