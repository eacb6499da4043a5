"""`textgen replay`: a text that was written once, again."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.options import models_dir_option
from textgen.streams import tell, text_writer

if TYPE_CHECKING:
    from textgen.generation.generator import Generator
    from textgen.generation.replaying import Recorded
    from textgen.store.model_directory import StoredModel


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--corpus", help="Text for --max-copy, in place of the index of the model.")
@models_dir_option
def replay(file: Path, corpus: str | None, models_dir: Path) -> None:
    """Write again the texts in FILE, a result of `textgen sample --json`.

    A FILE of - is standard input.

    Exits with 1 where a text is not the same, and says which of model, version, corpus or setting differs.
    """
    from textgen.cli.sample import open_index
    from textgen.generation.generator import open_generator
    from textgen.generation.replaying import read_records
    from textgen.generation.replaying import replay as made_again
    from textgen.records import version_of
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    def opened(stored: "StoredModel", recorded: "Recorded") -> "Generator":
        notify = lambda replaced: tell(f"textgen: {describe_replacements(replaced)}")  # noqa: E731
        generator = open_generator(stored, recorded.engine, on_unknown=recorded.on_unknown, on_replaced=notify)
        if recorded.config.max_copy:
            recorded.check_corpus(corpus)
            index = open_index(stored, corpus)
            recorded.check_corpus(corpus, index.text_sha256)
            generator.copy_index = lambda: index
        return generator

    write = text_writer()
    completions = made_again(
        read_records(None if str(file) == "-" else file),
        lambda name: load_model(name, models_dir),
        opened,
        version_of("textgen"),
    )
    for number, completion in enumerate(completions):
        write(("---\n" if number else "") + completion.prompt + completion.completion + "\n")
