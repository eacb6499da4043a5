"""`textgen sample`: a model writes."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.options import (
    engine_option,
    json_option,
    models_dir_option,
    on_unknown_option,
    sampling_config,
    sampling_options,
)
from textgen.config import SamplingConfig
from textgen.messages import json_line, unescape
from textgen.streams import bold_writer, shows_styles, tell, text_writer

if TYPE_CHECKING:
    from textgen.generation.generator import Completion, Generator
    from textgen.store.copy_index import CopyIndex
    from textgen.store.model_directory import StoredModel

MAX_PROMPT_BYTES = 16 * 2**20  # a few novels; a device may never end


@click.command()
@click.argument("model")
@click.option("-p", "--prompt", default="", help="Text to continue; - reads it from standard input.")
@click.option("--escapes", is_flag=True, help=r"Read \n, \t and \\ in --prompt as a new line, a tab and a backslash.")
@click.option("-f", "--file", "prompt_file", type=click.Path(path_type=Path), help="Read the prompt from this file.")
@sampling_options
@click.option("--num-samples", default=1, show_default=True, help="Number of texts to write.")
@click.option(
    "--sample-delimiter",
    default=r"\n---\n",
    help=r"Text between two samples, in which \n is a new line and \t a tab.  [default: a line of ---]",
)
@click.option("--no-prompt", is_flag=True, help="Write the text without its prompt.")
@click.option("-o", "--output", type=click.Path(), help="Write to this file; - is standard output.")
@click.option(
    "--mark-copied",
    is_flag=True,
    help="Mark runs of at least 20 characters that stand in the training text: bold on a terminal, else between "
    "\u27e6 and \u27e7.",
)
@click.option("--corpus", help="Text for --max-copy and --mark-copied, in place of the index of MODEL.")
@engine_option
@on_unknown_option
@models_dir_option
@json_option
def sample(
    model: str,
    prompt: str,
    escapes: bool,
    prompt_file: Path | None,
    num_samples: int,
    sample_delimiter: str,
    no_prompt: bool,
    output: str | None,
    mark_copied: bool,
    corpus: str | None,
    engine: str,
    on_unknown: str,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Write text with MODEL, after a prompt or from nothing.

    The text streams to standard output. The same seed, prompt and settings give the same text.
    """
    from textgen.errors import SettingError
    from textgen.generation.generator import check_samples, needed_bytes, open_generator
    from textgen.generation.prompts import read_prompt
    from textgen.memory import LARGE_BYTES, in_gb
    from textgen.store.model_directory import load_model
    from textgen.tokenizers.unknown import describe_replacements

    config = sampling_config(**flags)
    if prompt and prompt_file:
        raise SettingError("give either --prompt or --file, not both")
    if escapes and (prompt_file or prompt in ("", "-")):
        raise SettingError("--escapes is for the text of --prompt. Leave it out, or give the text there")
    if escapes:
        prompt = unescape(prompt)
    elif prompt_file or prompt == "-":
        prompt = read_prompt(prompt_file, MAX_PROMPT_BYTES, lambda note: tell(f"textgen: {note}"))
    if corpus is not None and not (config.max_copy or mark_copied):
        raise SettingError("`corpus` is of use with `max_copy` or `mark_copied` only; add one of them")
    stored = load_model(model, models_dir)
    if not stored.is_finished:
        step = stored.record.results.best_step
        tell(f"textgen: {stored.name} is not finished; this is its best at step {step:,}")
    if output or as_json or num_samples > 1:  # else it is written as it is made
        check_samples(stored.tokenizer, config, num_samples)
        if (needed := needed_bytes(stored.tokenizer, config, num_samples)) > LARGE_BYTES:
            tell(f"textgen: the texts are held until they are whole, which takes {in_gb(needed)} of memory")
    notify = lambda replaced: tell(f"textgen: {describe_replacements(replaced)}")  # noqa: E731
    generator = open_generator(
        stored, engine, on_unknown=on_unknown, on_replaced=notify, on_ended=lambda line: tell(f"textgen: {line}")
    )
    index = _index(stored, corpus) if config.max_copy or mark_copied else None
    if index is not None:
        generator.copy_index = lambda: index
    marked_by = index if mark_copied else None
    pieces: Iterable[tuple[str, bool]]
    if as_json:
        completions = generator.generate(prompt, config, num_samples)
        pieces = [(_as_json(completions, config, stored, marked_by), False)]
    elif num_samples == 1:
        pieces = _streamed(generator, prompt, config, no_prompt, marked_by)
    else:
        completions = generator.generate(prompt, config, num_samples)
        pieces = _several(completions, unescape(sample_delimiter), no_prompt, marked_by)
    _write(pieces, output)


def _index(stored: "StoredModel", corpus: str | None) -> "CopyIndex":
    from textgen.generation.max_copy import open_index

    if corpus is None:
        return open_index(stored)
    from textgen.evaluation.copied import index_of

    index, notes = index_of(corpus, stored)
    for note in notes:
        tell(f"textgen: {note}")
    return index


def _streamed(
    generator: "Generator", prompt: str, config: SamplingConfig, no_prompt: bool, index: "CopyIndex | None"
) -> Iterator[tuple[str, bool]]:
    readable = generator.readable_prompt(prompt)
    if not no_prompt:
        yield readable, False
    pieces = generator.write(generator.read(readable), config)  # of two spaces at its end, one is left
    yield from _marked(readable, pieces, index)
    yield "\n", False


def _several(
    completions: "list[Completion]", delimiter: str, no_prompt: bool, index: "CopyIndex | None"
) -> Iterator[tuple[str, bool]]:
    for number, completion in enumerate(completions):
        yield delimiter if number else "", False
        yield "" if no_prompt else completion.prompt, False
        yield from _marked(completion.prompt, [completion.completion], index)
    yield "\n", False


def _marked(prompt: str, pieces: Iterable[str], index: "CopyIndex | None") -> Iterator[tuple[str, bool]]:
    """The text of `pieces`, which go on with `prompt`, and whether each is copied; nothing is without an index."""
    if index is None:
        yield from ((piece, False) for piece in pieces)
        return
    from textgen.generation.copied_runs import CopyFinder, marked

    finder = CopyFinder(index)
    finder.read(prompt)
    yield from marked(pieces, finder)


def _as_json(
    completions: "list[Completion]", config: SamplingConfig, stored: "StoredModel", index: "CopyIndex | None"
) -> str:
    """One JSON document: a sample's, or a list where several were asked for. It holds all that repeats the text."""
    facts = {"settings": config.to_json(), "model": stored.name, "model_sha256": stored.sha256}
    documents = [dataclasses.asdict(completion) | facts for completion in completions]
    if index is not None:
        from textgen.generation.copied_runs import copied_runs

        for document, completion in zip(documents, completions, strict=True):
            document["copied"] = copied_runs(completion.prompt, completion.completion, index)
    return json_line(documents[0] if len(documents) == 1 else documents) + "\n"


def _write(pieces: Iterable[tuple[str, bool]], output: str | None) -> None:
    """To standard output piece by piece, or to a file as a whole; what is copied is bold there or between marks."""
    from textgen.errors import TextgenError
    from textgen.generation.copied_runs import with_marks
    from textgen.store.output_file import write_file

    if output is None or output == "-":
        if shows_styles():
            write_bold = bold_writer()
            for piece, is_copied in pieces:
                write_bold(piece, is_copied)
            return
        write = text_writer()
        for piece in with_marks(pieces):
            write(piece)
        return
    try:
        write_file(Path(output), "".join(with_marks(pieces)))
    except OSError as problem:
        raise TextgenError(f"cannot write {output}: {problem.strerror}") from None
