"""`textgen sample`: a model writes."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from textgen.cli.options import (
    engine_option,
    json_option,
    models_dir_option,
    on_unknown_option,
    sampling_config,
    sampling_options,
)

MAX_PROMPT_BYTES = 16 * 2**20  # a few novels; a device that never ends is not read for ever


@click.command()
@click.argument("model")
@click.option("-p", "--prompt", default="", help="Text to continue; - reads it from standard input.")
@click.option("-f", "--file", "prompt_file", type=click.Path(path_type=Path), help="Read the prompt from this file.")
@sampling_options
@click.option("--num-samples", default=1, show_default=True, help="How many texts to write.")
@click.option("--sample-delimiter", default="\n---\n", help="Between samples.  [default: a line of ---]")
@click.option("--no-prompt", is_flag=True, help="Leave the prompt out of the output.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file.")
@engine_option
@on_unknown_option
@models_dir_option
@json_option
def sample(
    model: str,
    prompt: str,
    prompt_file: Path | None,
    num_samples: int,
    sample_delimiter: str,
    no_prompt: bool,
    output: Path | None,
    engine: str,
    on_unknown: str,
    models_dir: Path,
    as_json: bool,
    **flags: Any,
) -> None:
    """Let MODEL write text that continues a prompt.

    The text streams to standard output. The same seed, prompt and settings give the same text.
    """
    config = sampling_config(**flags)
    text = _read_prompt(prompt, prompt_file)
    generator, stored = _open(model, models_dir, engine, on_unknown)
    if as_json:
        pieces = [_as_json(generator.generate(text, config, num_samples), config, stored)]
    elif num_samples == 1:
        pieces = _streamed(generator, text, config, no_prompt)
    else:
        pieces = _several(generator.generate(text, config, num_samples), sample_delimiter, no_prompt)
    _write(pieces, output)


def _read_prompt(prompt: str, prompt_file: Path | None) -> str:
    from textgen.errors import CorpusError, SettingError

    if prompt and prompt_file:
        raise SettingError("give either --prompt or --file, not both")
    if prompt != "-" and not prompt_file:
        return prompt
    source = prompt_file or "standard input"
    try:
        with prompt_file.open("rb") if prompt_file else contextlib.nullcontext(sys.stdin.buffer) as file:
            content = file.read(MAX_PROMPT_BYTES + 1)
        if len(content) > MAX_PROMPT_BYTES:
            raise SettingError(f"a prompt may have {MAX_PROMPT_BYTES:,} bytes at most; the one in {source} has more")
        return content.decode()
    except OSError as problem:
        raise CorpusError(f"cannot read the prompt from {source}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise CorpusError(f"the prompt in {source} is not UTF-8: byte at offset {problem.start:,}") from None


def _open(model: str, models_dir: Path, engine: str, on_unknown: str):
    """The generator and the stored model; notices go to standard error."""
    from textgen.generation.generator import open_generator
    from textgen.model_store import load_model
    from textgen.tokenizers.unknown import describe_replacements

    stored = load_model(model, models_dir)
    if not stored.is_finished:
        results = stored.record.results
        click.echo(
            f"textgen: {stored.name} is not finished; this is its best at step {results.best_step:,}",
            err=True,
        )
    if engine == "tensorflow":
        from textgen.tensorflow_runtime import quiet_import

        quiet_import()
    notify = lambda replaced: click.echo(f"textgen: {describe_replacements(replaced)}", err=True)  # noqa: E731
    return open_generator(stored, engine, on_unknown=on_unknown, on_replaced=notify), stored


def _streamed(generator, text: str, config, no_prompt: bool):
    readable = generator.readable_prompt(text)
    if not no_prompt:
        yield readable
    yield from generator.write(generator.read(readable), config)  # of two spaces at its end, one is left
    yield "\n"


def _several(completions, delimiter: str, no_prompt: bool):
    for index, completion in enumerate(completions):
        yield delimiter if index else ""
        yield ("" if no_prompt else completion.prompt) + completion.completion
    yield "\n"


def _as_json(completions, config, stored) -> str:
    """One JSON document: a sample's, or a list where several were asked for. It holds all that repeats the text."""
    import json

    documents = [
        {
            "prompt": c.prompt,
            "completion": c.completion,
            "seed": c.seed,
            "sample": c.sample,
            "finish_reason": c.finish_reason,
            "settings": config.to_json(),
            "model": stored.name,
            "model_sha256": stored.sha256,
        }
        for c in completions
    ]
    return json.dumps(documents[0] if len(documents) == 1 else documents, ensure_ascii=False) + "\n"


def _write(pieces, output: Path | None) -> None:
    """To standard output piece by piece, or to a file as a whole."""
    from textgen import atomic_files
    from textgen.errors import TextgenError
    from textgen.output import prepare_output, write_text

    if output is None:
        prepare_output()
        for piece in pieces:
            write_text(piece)
        return
    try:
        atomic_files.write_bytes(output, "".join(pieces).encode())
    except OSError as problem:
        raise TextgenError(f"cannot write {output}: {problem.strerror}") from None
