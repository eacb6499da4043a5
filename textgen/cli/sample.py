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
from textgen.streams import tell, text_writer, write_painted

if TYPE_CHECKING:
    from textgen.generation.generator import Completion, Generator
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
@click.option("--color", is_flag=True, help="Colour what MODEL writes by how surprising it was to MODEL itself.")
@click.option("-o", "--output", type=click.Path(), help="Write to this file; - is standard output.")
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
    color: bool,
    output: str | None,
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
    if color and (output or as_json):
        raise SettingError("--color is for text on standard output. Leave out --output and --json")
    if prompt and prompt_file:
        raise SettingError("give either --prompt or --file, not both")
    if escapes and (prompt_file or prompt in ("", "-")):
        raise SettingError("--escapes is for the text of --prompt. Leave it out, or give the text there")
    if escapes:
        prompt = unescape(prompt)
    elif prompt_file or prompt == "-":
        prompt = read_prompt(prompt_file, MAX_PROMPT_BYTES, lambda note: tell(f"textgen: {note}"))
    stored = load_model(model, models_dir)
    if not stored.is_finished:
        step = stored.record.results.best_step
        tell(f"textgen: {stored.name} is not finished; this is its best at step {step:,}")
    if output or as_json or color or num_samples > 1:  # else it is written as it is made
        check_samples(stored.tokenizer, config, num_samples)
        if (needed := needed_bytes(stored.tokenizer, config, num_samples)) > LARGE_BYTES:
            tell(f"textgen: the texts are held until they are whole, which takes {in_gb(needed)} of memory")
    notify = lambda replaced: tell(f"textgen: {describe_replacements(replaced)}")  # noqa: E731
    generator = open_generator(stored, engine, on_unknown=on_unknown, on_replaced=notify)
    if color:
        completions = generator.generate(prompt, config, num_samples)
        write_painted(_painted(completions, unescape(sample_delimiter), no_prompt, stored))
        return
    pieces: Iterable[str]
    if as_json:
        pieces = [_as_json(generator.generate(prompt, config, num_samples), config, stored)]
    elif num_samples == 1:
        pieces = _streamed(generator, prompt, config, no_prompt)
    else:
        pieces = _several(generator.generate(prompt, config, num_samples), unescape(sample_delimiter), no_prompt)
    _write(pieces, output)


def _streamed(generator: "Generator", prompt: str, config: SamplingConfig, no_prompt: bool) -> Iterator[str]:
    readable = generator.readable_prompt(prompt)
    if not no_prompt:
        yield readable
    yield from generator.write(generator.read(readable), config)  # of two spaces at its end, one is left
    yield "\n"


def _several(completions: "list[Completion]", delimiter: str, no_prompt: bool) -> Iterator[str]:
    for index, completion in enumerate(completions):
        yield delimiter if index else ""
        yield ("" if no_prompt else completion.prompt) + completion.completion
    yield "\n"


def _painted(
    completions: "list[Completion]", delimiter: str, no_prompt: bool, stored: "StoredModel"
) -> Iterator[tuple[str, str]]:
    from textgen.cli.score import painted_sample

    for index, completion in enumerate(completions):
        yield delimiter if index else "", ""
        yield "" if no_prompt else completion.prompt, ""
        yield from painted_sample(stored, completion.prompt, completion.completion)
    yield "\n", ""


def _as_json(completions: "list[Completion]", config: SamplingConfig, stored: "StoredModel") -> str:
    """One JSON document: a sample's, or a list where several were asked for. It holds all that repeats the text."""
    facts = {"settings": config.to_json(), "model": stored.name, "model_sha256": stored.sha256}
    documents = [dataclasses.asdict(completion) | facts for completion in completions]
    return json_line(documents[0] if len(documents) == 1 else documents) + "\n"


def _write(pieces: Iterable[str], output: str | None) -> None:
    """To standard output piece by piece, or to a file as a whole."""
    from textgen.errors import TextgenError
    from textgen.store.output_file import write_file

    if output is None or output == "-":
        write = text_writer()
        for piece in pieces:
            write(piece)
        return
    try:
        write_file(Path(output), "".join(pieces))
    except OSError as problem:
        raise TextgenError(f"cannot write {output}: {problem.strerror}") from None
